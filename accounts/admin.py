"""The desk for organizations and people."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminURLFieldWidget
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters

from accounts.admin_tools import TenantAdmin, own_organization, staff_user
from accounts.models import App, AuditEntry, Invitation, Organization, Person, PersonGroup, User, VerifiedDomain
from accounts.services import audit, invitations, organizations, pictures, users
from pitch.lib.emails import BadAddress, normalize
from pitch.lib.fields import new_code

admin.site.unregister(Group)  # roles are columns of the user; Django's groups would be a second way to say it

SEARCHED = 10_000


class OrganizationForm(forms.ModelForm):
    """An organization; secrets can be added and never read back."""

    new_admin_secret = forms.CharField(
        label=gettext_lazy("Add an ADMIN secret"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    new_user_secret = forms.CharField(
        label=gettext_lazy("Add a USER secret"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    # No ClearableFileInput: it links to the file's path, which no address serves.
    logo = forms.FileField(
        label=gettext_lazy("Logo"),
        required=False,
        widget=forms.FileInput,
        help_text=gettext_lazy("PNG, JPEG or WebP."),
    )
    remove_logo = forms.BooleanField(label=gettext_lazy("Remove the logo"), required=False)
    website = forms.URLField(
        label=gettext_lazy("Website"), required=False, assume_scheme="https", widget=AdminURLFieldWidget
    )

    class Meta:
        model = Organization
        fields = [
            "name",
            "slug",
            "partner_id",
            "is_active",
            "brand_color",
            "logo",
            "website",
            "video_max_seconds",
            "smtp_notes",
        ]

    def clean_logo(self) -> Any:
        """Re-encode a new logo; keep the old one if none was chosen."""
        upload = self.cleaned_data.get("logo")
        if not upload or isinstance(upload, str) or not hasattr(upload, "content_type"):
            return self.instance.logo
        try:
            return ContentFile(pictures.reencode(upload, side=480), name=f"{new_code()}.png")
        except pictures.BadPicture as err:
            raise forms.ValidationError(str(err)) from err


@admin.register(Organization)
class OrganizationAdmin(TenantAdmin):
    """Operators make organizations; administrators see and dress their own."""

    form = OrganizationForm
    list_display = ("name", "slug", "partner_id", "is_active")
    search_fields = ("name", "slug")
    allows_add = True
    allows_change = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        """Cut to the own organization."""
        rows = Organization.objects.all()
        own = own_organization(request)
        return rows if own is None else rows.filter(pk=own.pk)

    def is_theirs(self, request: HttpRequest, obj: Any) -> bool:
        """Say whether this is the own organization."""
        own = own_organization(request)
        return staff_user(request).is_staff and (obj is None or own is None or obj == own)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only operators make organizations (R370)."""
        return staff_user(request).is_operator

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Leave identity and state to operators."""
        secrets = ("admin_secrets_set", "user_secrets_set", "code")
        return secrets if staff_user(request).is_operator else (*secrets, "slug", "partner_id", "is_active")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Group the fields; secrets appear as their number."""
        groups: list[tuple[Any, dict[str, Any]]] = [
            (None, {"fields": ("name", "slug", "partner_id", "is_active")}),
            (_("What pages and mails look like"), {"fields": ("brand_color", "logo", "remove_logo", "website")}),
            (_("Rules"), {"fields": ("video_max_seconds", "smtp_notes")}),
        ]
        if obj is not None:
            api = ("code", "admin_secrets_set", "new_admin_secret", "user_secrets_set", "new_user_secret")
            groups.append((_("API sessions"), {"fields": api}))
        return groups

    @method_decorator(sensitive_post_parameters("new_admin_secret", "new_user_secret"))
    def changeform_view(self, *args: Any, **kwargs: Any) -> Any:
        """Keep the secrets out of error reports."""
        return super().changeform_view(*args, **kwargs)

    @admin.display(description=gettext_lazy("ADMIN secrets"))
    def admin_secrets_set(self, obj: Organization) -> str:
        """Say how many secrets are set, never which."""
        return ngettext("%d set", "%d set", len(obj.admin_secrets)) % len(obj.admin_secrets)

    @admin.display(description=gettext_lazy("USER secrets"))
    def user_secrets_set(self, obj: Organization) -> str:
        """Say how many secrets are set, never which."""
        return ngettext("%d set", "%d set", len(obj.user_secrets)) % len(obj.user_secrets)

    def save_model(self, request: HttpRequest, obj: Organization, form: Any, change: bool) -> None:
        """Save through the services."""
        data = form.cleaned_data
        if data.get("remove_logo") and "logo" not in form.changed_data:
            obj.logo = ""
        super().save_model(request, obj, form, change)
        organizations.ensure_default_app(obj)
        organizations.add_secrets(
            obj,
            admin=data.get("new_admin_secret", ""),
            user=data.get("new_user_secret", ""),
            actor=staff_user(request),
        )
        changed = [name for name in form.changed_data if not name.startswith("new_")]
        action = "organization changed" if change else "organization created"
        audit.record(obj, staff_user(request), action, obj.slug, fields=changed)


class UserForm(forms.ModelForm):
    """A person's role and state; the last administrator of an organization stays one."""

    class Meta:
        model = User
        fields = ["name", "title", "phone", "role", "is_active"]

    def clean(self) -> dict[str, Any]:
        """Refuse to leave the organization without an administrator (the admin saves in the transaction this runs in)."""
        data = super().clean() or self.cleaned_data
        if "role" in data and "is_active" in data:
            try:
                users.check_administrators(self.instance, role=data["role"], is_active=data["is_active"])
            except users.LastAdministrator as err:
                raise forms.ValidationError(str(err)) from err
        return data


@admin.register(User)
class UserAdmin(TenantAdmin):
    """Those who sign in. They are invited, not made here; a role or a deactivation works at once."""

    form = UserForm
    list_display = ("email", "name", "organization", "role", "is_active", "last_login")
    list_filter = ("role", "is_active")
    list_select_related = ("organization",)
    search_fields = ("email", "name")
    fields = ("email", "name", "title", "phone", "role", "is_active", "organization", "last_login", "created_at")
    readonly_fields = ("email", "organization", "last_login", "created_at")
    allows_change = True

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save and write down who changed what."""
        super().save_model(request, obj, form, change)
        if form.changed_data:
            details = {
                name: str(form.cleaned_data[name]) for name in form.changed_data if name in {"role", "is_active"}
            }
            audit.record(
                obj.organization, staff_user(request), "user changed", obj.email, fields=form.changed_data, **details
            )


class InvitationAdminForm(forms.ModelForm):
    """Whom to invite."""

    class Meta:
        model = Invitation
        fields = ["organization", "email", "name", "role"]

    def clean_email(self) -> str:
        """Refuse what is no address."""
        try:
            return normalize(self.cleaned_data["email"])
        except BadAddress as err:
            raise forms.ValidationError(str(err)) from err

    def clean(self) -> dict[str, Any]:
        """Refuse people who have an account already."""
        data = super().clean() or {}
        organization, email = data.get("organization"), data.get("email")
        taken = (
            organization and email and User.objects.for_organization(organization).filter(email_key=email.casefold())
        )
        if taken and taken.exists():
            raise forms.ValidationError(_("This person has an account in the organization already."))
        return data

    def validate_constraints(self) -> None:
        """Let an older open invitation be: the service replaces it."""


@admin.register(Invitation)
class InvitationAdmin(TenantAdmin):
    """Adding an invitation sends it."""

    form = InvitationAdminForm
    list_display = ("email", "role", "organization", "state", "expires_at", "invited_by")
    list_select_related = ("organization", "invited_by")
    search_fields = ("email", "name")
    actions = ("send_again", "revoke")
    allows_add = True

    @admin.display(description=gettext_lazy("state"))
    def state(self, obj: Invitation) -> str:
        """Say where the invitation stands."""
        if obj.accepted_at:
            return _("accepted")
        if obj.revoked_at:
            return _("withdrawn")
        return _("open") if Invitation.objects.open().filter(pk=obj.pk).exists() else _("run out")

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Say why somebody cannot be invited who could when the form was checked."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except invitations.CannotInvite as err:
            messages.error(request, str(err))
            return redirect("admin:accounts_invitation_changelist")

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        """Invite through the service; the link is mailed after the commit, for no transaction waits for a mail server."""
        made = invitations.invite(obj.organization, obj.email, role=obj.role, name=obj.name, actor=staff_user(request))
        obj.pk, obj.code, obj.expires_at = made.pk, made.code, made.expires_at
        transaction.on_commit(lambda: self.mail(request, made))

    def mail(self, request: HttpRequest, invitation: Invitation) -> None:
        """Mail the link; if that fails, show it, so that it can be handed over another way."""
        try:
            invitations.send(invitation)
        except Exception as err:  # noqa: BLE001  (whatever a mail backend raises: the link must not be lost)
            words = _("The mail could not be sent (%(why)s). Hand over this link yourself: %(link)s")
            messages.warning(request, words % {"why": err, "link": invitations.link(invitation)})
        else:
            messages.success(request, _("The invitation was mailed to %(email)s.") % {"email": invitation.email})

    @admin.action(description=gettext_lazy("Send again"))
    def send_again(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """Make a fresh invitation for each address that has not joined, as the newest chosen one has it, and mail it once."""
        addresses = set()
        for old in queryset.order_by("-created_at", "-pk").select_related("organization"):
            address = (old.organization_id, old.email_key)
            if address in addresses:
                continue
            addresses.add(address)
            try:
                fresh = invitations.invite(
                    old.organization, old.email, role=old.role, name=old.name, actor=staff_user(request)
                )
            except invitations.CannotInvite as err:
                messages.warning(request, str(err))
            else:
                self.mail(request, fresh)

    @admin.action(description=gettext_lazy("Withdraw"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """Make the links worthless."""
        for invitation in queryset:
            invitations.revoke(invitation, staff_user(request))
        messages.success(request, _("The chosen invitations no longer work."))


@admin.register(Person)
class PersonAdmin(TenantAdmin):
    """The directory."""

    list_display = ("full_name", "email", "company", "status", "organization")
    list_select_related = ("organization",)
    list_filter = ("status",)
    search_fields = ("full_name", "email", "user_id")
    exclude = ("login",)
    allows_add = True
    allows_change = True


@admin.register(PersonGroup)
class PersonGroupAdmin(TenantAdmin):
    """Groups of people."""

    list_display = ("name", "group_id", "organization")
    list_select_related = ("organization",)
    search_fields = ("name", "group_id")
    allows_add = True
    allows_change = True


@admin.register(App)
class AppAdmin(TenantAdmin):
    """Applications; the default one is made with the organization."""

    list_display = ("custom_name", "code", "type", "status", "organization")
    list_select_related = ("organization",)
    readonly_fields = ("code",)


@admin.register(VerifiedDomain)
class VerifiedDomainAdmin(TenantAdmin):
    """Mail domains that belong to an organization; operators say which."""

    list_display = ("domain", "organization", "created_at")
    list_select_related = ("organization",)
    search_fields = ("domain",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only operators: claiming a domain decides who may sign in from it."""
        return staff_user(request).is_operator

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only operators."""
        return staff_user(request).is_operator

    def save_model(self, request: HttpRequest, obj: VerifiedDomain, form: Any, change: bool) -> None:
        """Save and write it down."""
        super().save_model(request, obj, form, change)
        audit.record(obj.organization, staff_user(request), "verified domain added", obj.domain)

    def delete_model(self, request: HttpRequest, obj: VerifiedDomain) -> None:
        """Delete and write it down."""
        super().delete_model(request, obj)
        audit.record(obj.organization, staff_user(request), "verified domain removed", obj.domain)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[VerifiedDomain]) -> None:
        """Delete the chosen ones, each as one."""
        for domain in queryset.select_related("organization"):
            with transaction.atomic():
                self.delete_model(request, domain)


@admin.register(AuditEntry)
class AuditEntryAdmin(TenantAdmin):
    """Who changed what."""

    list_display = ("created_at", "actor_label", "action", "target", "organization")
    list_select_related = ("organization",)
    search_fields = ("actor_label", "action", "target")
    search_help_text = gettext_lazy("A whole address; other words are looked for in the newest 10,000 entries")
    date_hierarchy = None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Look for an address by index, for other words in the newest entries: nobody waits for a look at all of them."""
        text = search_term.strip()
        if "@" not in text:
            if text:
                queryset = queryset.filter(pk__in=queryset.order_by("-created_at", "-id").values("pk")[:SEARCHED])
            return super().get_search_results(request, queryset, text)
        try:
            address = normalize(text)
        except BadAddress:
            return queryset.none(), False
        # One list of rows, so that the organization's index is not walked from end to end.
        rows = AuditEntry.objects.order_by().values("pk")
        found = rows.filter(actor_label=address).union(rows.filter(target=address))
        return queryset.filter(pk__in=found), False
