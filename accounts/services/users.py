"""What must hold among the users of an organization."""

from django.utils.translation import gettext as _

from accounts.models import Organization, User


class LastAdministrator(ValueError):
    """A change would leave an organization without an administrator; the message says what to do first."""


def check_administrators(user: User, *, role: str, is_active: bool) -> None:
    """Raise LastAdministrator if `user` is the last active administrator and would not be one with `role` and `is_active`.

    Call it inside the transaction that saves the change: the organization's row stays locked until its end, so that of two
    administrators who demote each other at the same moment the second sees what the first did.
    """
    if user.organization_id is None or (role == User.Role.ADMINISTRATOR and is_active):
        return
    # no_key: rows that point to the organization can still be made meanwhile.
    organization = Organization.objects.select_for_update(no_key=True).get(pk=user.organization_id)
    administrators = User.objects.for_organization(organization).filter(role=User.Role.ADMINISTRATOR, is_active=True)
    left = administrators.exclude(pk=user.pk)
    if not left.exists() and administrators.exists():
        raise LastAdministrator(
            _(
                "%(name)s is the last active administrator of %(organization)s. Make somebody else an administrator first."
            )
            % {"name": user, "organization": organization}
        )
