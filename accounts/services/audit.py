"""The administrators' log: who changed what."""

from typing import Any

from accounts.models import AuditEntry, Organization, User


def record(
    organization: Organization | None,
    actor: User | None,
    action: str,
    target: str = "",
    *,
    label: str = "",
    **details: Any,
) -> AuditEntry:
    """Append one entry; `details` are plain values and never secrets.

    `actor` None means a command of the operator, or whoever `label` names (an API session).
    """
    label = label or (actor.email if actor is not None else "command line")
    return AuditEntry.objects.create(
        organization=organization,
        actor=actor,
        actor_label=label[:254],
        action=action,
        target=target[:254],
        details=details,
    )
