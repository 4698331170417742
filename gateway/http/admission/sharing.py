"""Whether the workers share their rate limits."""

from typing import TYPE_CHECKING

from core.kernel.clock import Monotonic
from core.kernel.settings import Settings
from gateway.http.admission.budgets import Budgets

if TYPE_CHECKING:
    from gateway.http.admission.shared_budgets import SharedBudgets


def share_budgets(
    settings: Settings, budgets: Budgets, monotonic: Monotonic
) -> "SharedBudgets | None":
    """The Redis client is imported only if `redis_url` is set."""
    url = settings.redis_url.reveal()
    if not url:
        return None
    from gateway.http.admission.shared_budgets import SharedBudgets

    shared = SharedBudgets(url, budgets, monotonic)
    shared.start()
    return shared
