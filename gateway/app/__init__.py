"""The application: composition root, logging, and the worker process."""

from gateway.app.factory import assemble, assembled, build_dependencies, create_app
from gateway.app.keys import keys_from
from gateway.app.logging import configure_logs
from gateway.app.worker import work_until_stopped

__all__ = [
    "assemble",
    "assembled",
    "build_dependencies",
    "configure_logs",
    "create_app",
    "keys_from",
    "work_until_stopped",
]
