"""The task queue as the apps see it: a wake-up that carries ids, never data (design.md §5.1).

The rows are the queue. A wake-up that is lost is found by the sweep, one that comes twice does nothing twice.
"""

import logging
from typing import Any

from django.db import transaction
from django_q.tasks import async_task

from pitch.lib.outages import AWAY

log = logging.getLogger(__name__)


def wake(task: str, *ids: Any, cluster: str | None = None) -> None:
    """Enqueue the task named by dotted path `task` with plain ids, once the running transaction has committed.

    `cluster` names one of Q_CLUSTER's alternate clusters; None is the ordinary one. A broker that is away is logged and no
    more: what the caller wanted is committed, and the sweep finds it.
    """
    options: dict[str, Any] = {"cluster": cluster} if cluster else {}

    def enqueue() -> None:
        try:
            async_task(task, *ids, **options)
        except AWAY:
            log.exception("The wake-up for %s was lost; the sweep finds the row.", task)

    transaction.on_commit(enqueue)
