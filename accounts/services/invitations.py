"""Invitations: the only way into an organization without single sign-on (R370: no self sign-up)."""

from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Invitation, Organization, User
from accounts.services import audit
from accounts.services.hosts import base_url
from pitch.lib import signing
from pitch.lib.emails import address_key

VALID_FOR = timedelta(days=7)
PURPOSE = "invitation"


class CannotInvite(ValueError):
    """Somebody cannot be invited; the message says why."""


def invite(
    organization: Organization, email: str, *, role: str = User.Role.MEMBER, name: str = "", actor: User | None = None
) -> Invitation:
    """Make an invitation for `email`, replacing an older open one.

    Raises BadAddress for an address that is none and CannotInvite if that person has an account already or is being invited by
    somebody else at the same moment.
    The mail is a second step (`send`), so that the link exists even if no mail can go out.
    """
    key = address_key(email)
    if User.objects.for_organization(organization).filter(email_key=key).exists():
        raise CannotInvite(_("%(email)s has an account in this organization already.") % {"email": email})
    try:
        with transaction.atomic():
            Invitation.objects.for_organization(organization).filter(
                email_key=key, accepted_at__isnull=True, revoked_at__isnull=True
            ).update(revoked_at=timezone.now())
            invitation = Invitation.objects.create(
                organization=organization,
                email=email,
                name=name,
                role=role,
                invited_by=actor,
                expires_at=timezone.now() + VALID_FOR,
            )
            audit.record(organization, actor, "user invited", invitation.email, role=role)
    except IntegrityError as err:  # invitation_one_open_per_address: the other one was quicker, and its link works
        raise CannotInvite(
            _("Somebody else has just invited %(email)s. Look at the invitations before you invite again.")
            % {"email": email}
        ) from err
    return invitation


def link(invitation: Invitation) -> str:
    """Return the absolute link that accepts the invitation."""
    path = reverse("accounts:invitation-accept", args=[signing.sign(PURPOSE, invitation.code)])
    return base_url(invitation.organization) + path


def send(invitation: Invitation) -> None:
    """Mail the link; raises what the mail backend raises."""
    context = {"invitation": invitation, "organization": invitation.organization, "link": link(invitation)}
    subject = _("%(name)s invites you to Pitch") % {"name": invitation.organization.name}
    message = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string("accounts/email/invitation.txt", context),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[invitation.email],
    )
    message.attach_alternative(render_to_string("accounts/email/invitation.html", context), "text/html")
    message.organization = invitation.organization  # type: ignore[attr-defined]  # whose provider it goes through
    message.send()


def revoke(invitation: Invitation, actor: User | None = None) -> None:
    """Make the link worthless; does nothing if it was used already."""
    changed = Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=True, revoked_at__isnull=True).update(
        revoked_at=timezone.now()
    )
    if changed:
        audit.record(invitation.organization, actor, "invitation revoked", invitation.email)


def find(token: str) -> Invitation | None:
    """Return the open invitation behind a link's token, or None."""
    code = signing.unsign(PURPOSE, token)
    if code is None:
        return None
    return (
        Invitation.objects.open().select_related("organization").filter(code=code, organization__is_active=True).first()
    )


def accept(invitation: Invitation, *, name: str, password: str) -> User:
    """Make the user and use the invitation up; raises CannotInvite if it was used or the account exists by now."""
    try:
        with transaction.atomic():
            used = Invitation.objects.open().filter(pk=invitation.pk).update(accepted_at=timezone.now())
            if not used:
                raise CannotInvite(_("This invitation was used already. Sign in with your password."))
            user = User.objects.create_user(
                invitation.email, password, organization=invitation.organization, name=name, role=invitation.role
            )
            Invitation.objects.filter(pk=invitation.pk).update(user=user)
            audit.record(invitation.organization, user, "invitation accepted", user.email, role=user.role)
    except IntegrityError as err:
        raise CannotInvite(_("There is an account with this address already. Sign in with your password.")) from err
    return user
