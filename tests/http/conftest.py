"""A real server for what cannot be driven in the test's own process."""

from tests.live import live_server

__all__ = ["live_server"]
