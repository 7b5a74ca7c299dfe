"""The task queue as the apps see it: a wake-up that carries ids, never data (design.md §5.1).

The rows are the queue. A wake-up that is lost is found by the sweep, one that comes twice does nothing twice.
"""

from typing import Any

from django.db import transaction
from django_q.tasks import async_task


def wake(task: str, *ids: Any, cluster: str | None = None) -> None:
    """Enqueue the task named by dotted path `task` with plain ids, once the running transaction has committed.

    `cluster` names one of Q_CLUSTER's alternate clusters; None is the ordinary one.
    """
    options: dict[str, Any] = {"cluster": cluster} if cluster else {}
    transaction.on_commit(lambda: async_task(task, *ids, **options))
