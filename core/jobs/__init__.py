"""Scheduled maintenance jobs: expiry, retention, garbage collection."""

from core.jobs.maintenance import JOBS
from core.jobs.schedule import Scheduler, scheduled_jobs_table

__all__ = [
    "JOBS",
    "Scheduler",
    "scheduled_jobs_table",
]
