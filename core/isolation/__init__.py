"""Isolated pool: worker processes of bounded memory and time, in which hostile files are decoded."""

from core.isolation.pool import Bounds, IsolatedPool, PoolBusy, ProcessingFailed
from core.isolation.worker import MEGABYTE

__all__ = ["MEGABYTE", "Bounds", "IsolatedPool", "PoolBusy", "ProcessingFailed"]
