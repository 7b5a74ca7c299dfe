"""The directory: people who can be written to (the API's users), and groups of them."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.organizations import Organization, TenantQuerySet
from accounts.models.users import User
from pitch.lib.emails import BadAddress, address_key, normalize


class Person(models.Model):
    """A directory entry. `user_id` is the API's id; the rest are the 18 fields of source 3 §4.2 (R53–R70)."""

    class Status(models.TextChoices):
        """The wire words of the API's user."""

        ACTIVE = "active", _("active")
        BLOCKED = "blocked", _("blocked")
        DELETED = "deleted", _("deleted")

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="people")
    user_id = models.CharField(_("user id"), max_length=120)
    login = models.OneToOneField(User, models.SET_NULL, null=True, blank=True, related_name="person")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    email = models.CharField(_("e-mail address"), max_length=254, blank=True)
    # Empty while the address cannot be resolved to a valid one (R193): such a person exists but gets no mail.
    address_key = models.CharField(max_length=254, blank=True, editable=False)
    external_id = models.CharField(_("external id"), max_length=120, blank=True)
    first_name = models.CharField(_("first name"), max_length=120, blank=True)
    last_name = models.CharField(_("last name"), max_length=120, blank=True)
    full_name = models.CharField(_("full name"), max_length=240, blank=True)
    screen_name = models.CharField(_("screen name"), max_length=120, blank=True)
    date_of_birth = models.DateField(_("date of birth"), null=True, blank=True)
    gender = models.CharField(_("gender"), max_length=20, blank=True)
    thumbnail_url = models.URLField(_("picture address"), max_length=500, blank=True)
    description = models.TextField(_("description"), blank=True)
    title = models.CharField(_("title"), max_length=120, blank=True)
    country = models.CharField(_("country"), max_length=60, blank=True)
    company = models.CharField(_("company"), max_length=120, blank=True)
    state = models.CharField(_("state"), max_length=60, blank=True)
    city = models.CharField(_("city"), max_length=120, blank=True)
    zip = models.CharField(_("zip"), max_length=20, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        ordering = ["full_name", "email"]
        constraints = [
            models.UniqueConstraint(name="person_user_id_once_per_organization", fields=["organization", "user_id"]),
        ]
        indexes = [
            # Who in this organization has this address: recipients while typing, webhooks, opt-outs.
            models.Index(name="person_by_address", fields=["organization", "address_key"]),
            models.Index(name="person_by_full_name", fields=["organization", "full_name"]),
            # The operators' list, over all organizations.
            models.Index(name="person_in_order", fields=["full_name", "email"]),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email or self.user_id

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the key beside the address, and the full name filled."""
        try:
            self.email, self.address_key = normalize(self.email), address_key(self.email)
        except BadAddress:
            self.address_key = ""
        if not self.full_name:
            self.full_name = f"{self.first_name} {self.last_name}".strip()
        super().save(*args, **kwargs)


class PersonGroup(models.Model):
    """A named group of people (the API's group; `group_id` is its id)."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="person_groups")
    group_id = models.CharField(_("group id"), max_length=120)
    name = models.CharField(_("name"), max_length=120, blank=True)
    people = models.ManyToManyField(Person, through="PersonGroupMember", related_name="groups")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(name="person_group_id_once_per_organization", fields=["organization", "group_id"]),
        ]

    def __str__(self) -> str:
        return self.name or self.group_id


class PersonGroupMember(models.Model):
    """One person in one group."""

    group = models.ForeignKey(PersonGroup, models.CASCADE, related_name="memberships")
    person = models.ForeignKey(Person, models.CASCADE, related_name="memberships")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("group member")
        verbose_name_plural = _("group members")
        constraints = [models.UniqueConstraint(name="person_group_member_once", fields=["group", "person"])]

    def __str__(self) -> str:
        return f"{self.person} / {self.group}"
