"""Those who sign in: users with a role, and invitations to become one."""

from typing import Any, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.organizations import Organization, TenantQuerySet
from pitch.lib.emails import address_key, normalize
from pitch.lib.fields import CodeField


class UserManager(BaseUserManager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """Makes users; the same address in two organizations is two users."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a user; `email` is normalised, no password means sign-in by invitation or single sign-on only.

        Raises BadAddress for an address that is none, IntegrityError if the organization has that address already.
        """
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make an operator: a superuser who belongs to no organization."""
        return self.create_user(email, password, is_superuser=True, organization=None, **fields)

    def get_by_natural_key(self, code: str | None) -> "User":
        """Return the user with this code (django's own look-ups go by USERNAME_FIELD)."""
        return self.get(code=code)


class User(AbstractBaseUser, PermissionsMixin):
    """One who signs in. Belongs to one organization, or is an operator and belongs to none."""

    class Role(models.TextChoices):
        """What a user may do in the own organization."""

        MEMBER = "member", _("member")
        EDITOR = "editor", _("editor")
        ADMINISTRATOR = "administrator", _("administrator")

    code = CodeField()
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="users", null=True, blank=True)
    email = models.EmailField(_("e-mail address"))
    email_key = models.CharField(max_length=254, editable=False)
    name = models.CharField(_("name"), max_length=120, blank=True)
    title = models.CharField(_("job title"), max_length=120, blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True)
    photo = models.FileField(_("photo"), upload_to="photos/", blank=True)
    role = models.CharField(_("role"), max_length=16, choices=Role.choices, default=Role.MEMBER)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = UserManager()

    USERNAME_FIELD = "code"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ["name", "email"]
        constraints = [
            models.UniqueConstraint(
                name="user_email_once_per_organization",
                fields=["organization", "email_key"],
                violation_error_message=_("This organization has a user with that address already."),
            ),
            models.UniqueConstraint(
                name="user_email_once_among_operators",
                fields=["email_key"],
                condition=models.Q(organization__isnull=True),
            ),
            # design.md §4: an operator is a superuser without an organization, and nobody else is either.
            models.CheckConstraint(
                name="user_operator_has_no_organization",
                condition=models.Q(organization__isnull=True, is_superuser=True)
                | models.Q(organization__isnull=False, is_superuser=False),
                violation_error_message=_("An operator belongs to no organization; everybody else belongs to one."),
            ),
        ]
        indexes = [models.Index(name="user_by_email_key", fields=["email_key"])]  # sign-in: who has this address?

    def __str__(self) -> str:
        return self.name or self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the address normal and its key beside it."""
        self.email = normalize(self.email)
        self.email_key = address_key(self.email)
        fields = kwargs.get("update_fields")
        if fields is not None and "email" in fields:
            kwargs["update_fields"] = {*fields, "email_key"}
        super().save(*args, **kwargs)

    def get_full_name(self) -> str:
        """Return the name, or the address if there is none."""
        return self.name or self.email

    def get_short_name(self) -> str:
        """Return the first name."""
        return self.name.split(" ")[0] if self.name else self.email

    @property
    def is_operator(self) -> bool:
        """Whether this is a superuser outside any organization."""
        return self.is_superuser and self.organization_id is None

    @property
    def is_administrator(self) -> bool:
        """Whether this is an administrator of the own organization."""
        return self.organization_id is not None and self.role == self.Role.ADMINISTRATOR

    @property
    def is_staff(self) -> bool:
        """Whether the Django admin opens: administrators and operators."""
        return self.is_active and (self.is_operator or self.is_administrator)


class InvitationQuerySet(TenantQuerySet):
    """Invitations."""

    def open(self) -> Self:
        """Keep those that can still be accepted."""
        return self.filter(accepted_at__isnull=True, revoked_at__isnull=True, expires_at__gt=timezone.now())


class Invitation(models.Model):
    """An administrator's invitation; following its signed link proves the address and sets a password."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invitations")
    code = CodeField()
    email = models.EmailField(_("e-mail address"))
    email_key = models.CharField(max_length=254, editable=False)
    name = models.CharField(_("name"), max_length=120, blank=True)
    role = models.CharField(_("role"), max_length=16, choices=User.Role.choices, default=User.Role.MEMBER)
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    expires_at = models.DateTimeField(_("valid until"))
    accepted_at = models.DateTimeField(_("accepted"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    user = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                name="invitation_one_open_per_address",
                fields=["organization", "email_key"],
                condition=models.Q(accepted_at__isnull=True, revoked_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the address normal and its key beside it."""
        self.email = normalize(self.email)
        self.email_key = address_key(self.email)
        super().save(*args, **kwargs)


class PasswordResetRequest(models.Model):
    """An address somebody says the password of is forgotten; stays until the worker has taken it up.

    Made for every address alike, known or not: the request itself does not look.
    """

    email_key = models.CharField(max_length=254)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("password reset request")
        verbose_name_plural = _("password reset requests")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.email_key
