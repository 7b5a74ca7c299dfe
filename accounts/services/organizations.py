"""Making and changing organizations; the command and the admin share it."""

from django.db import transaction

from accounts.models import App, Organization, User
from accounts.services import audit


def create(*, slug: str, name: str, partner_id: int, actor: User | None = None) -> Organization:
    """Make an organization with its default app of type pitch.

    Raises ValidationError for a slug, name or partner id that cannot be used (or is taken).
    """
    organization = Organization(slug=slug, name=name, partner_id=partner_id)
    organization.full_clean()
    with transaction.atomic():
        organization.save()
        ensure_default_app(organization)
        audit.record(organization, actor, "organization created", slug)
    return organization


def update(organization: Organization, *, name: str, partner_id: int, actor: User | None = None) -> Organization:
    """Change name and partner id; raises ValidationError as `create` does."""
    organization.name, organization.partner_id = name, partner_id
    organization.full_clean()
    with transaction.atomic():
        organization.save(update_fields=["name", "partner_id", "updated_at"])
        audit.record(organization, actor, "organization changed", organization.slug, name=name, partner_id=partner_id)
    return organization


def ensure_default_app(organization: Organization) -> App:
    """Return the organization's default app, making it if there is none."""
    app, _made = App.objects.get_or_create(
        organization=organization, is_default=True, defaults={"type": "pitch", "custom_name": "Pitch"}
    )
    return app


def add_secrets(
    organization: Organization, *, admin: str = "", user: str = "", actor: User | None = None
) -> Organization:
    """Add an ADMIN and/or a USER secret of API sessions; older ones stay valid until they are removed (C3)."""
    with transaction.atomic():
        locked = Organization.objects.select_for_update().get(pk=organization.pk)
        added = []
        kinds: tuple[tuple[str, str, list[str]], ...] = (
            ("admin", admin, locked.admin_secrets),
            ("user", user, locked.user_secrets),
        )
        for kind, secret, stored in kinds:
            if secret and secret not in stored:
                stored.append(secret)
                added.append(kind)
        if added:
            locked.save(update_fields=["admin_secrets", "user_secrets", "updated_at"])
            audit.record(locked, actor, "API secret added", locked.slug, kinds=added)
    return locked
