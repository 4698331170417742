"""Isolated pool: hostile files are opened in a few worker processes of bounded memory and time."""

from core.isolation.pool import Bounds, IsolatedPool, PoolBusy, ProcessingFailed
from core.isolation.worker import MEGABYTE

__all__ = ["MEGABYTE", "Bounds", "IsolatedPool", "PoolBusy", "ProcessingFailed"]
