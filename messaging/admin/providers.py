"""SMTP settings, with a password that goes in and never comes out, and a test that shows what was said."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.text import format_lazy
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from accounts.admin_tools import TenantAdmin, own_organization, staff_user
from accounts.models import User
from messaging.admin.sending import cut, pill
from messaging.models import EmailProvider, ProviderLimit
from messaging.services import providers
from pitch.lib import limiter

TESTS_PER_MINUTE = 5
SENDER_MODES = format_lazy(
    "<p>{}</p><p>{}</p><p>{}</p><p>{}</p>",
    _(
        "Send as: From and MAIL FROM are the person's own address. The mail server must let the account above send as everybody "
        "who uses Pitch (relay permission)."
    ),
    _(
        "On behalf: From is the person, Sender and MAIL FROM are the default sender address, which must be allowed to send on "
        "behalf of everybody."
    ),
    _(
        "Service: From is “Person via Organization” at the default sender address, and replies go to the person. It needs no "
        "rights over people's addresses."
    ),
    _(
        "In each mode the domain of From should be one of the organization's verified domains, or receivers that check DMARC may "
        "refuse the mail."
    ),
)


class ProviderForm(forms.ModelForm):
    """The settings; an empty password keeps the stored one, which is never sent to the browser (abuse case A34)."""

    password = forms.CharField(
        label=_("Password"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = EmailProvider
        fields = [
            "organization",
            "name",
            "is_default",
            "is_active",
            "host",
            "port",
            "security",
            "ca_bundle",
            "user",
            "password",
            "from_address",
            "from_name",
            "sender_mode",
            "reply_to_address",
            "reply_to_name",
            "envelope_from",
            "max_connections",
        ]

    actor: User  # set by get_form

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = self.instance.password or ""
        self.place = (self.instance.host, self.instance.user)
        self.initial["password"] = ""
        if "password" in self.fields:
            self.fields["password"].help_text = (
                _t("Set. Type to change it; left empty, it stays.") if self.stored else _t("Not set.")
            )

    def clean(self) -> dict[str, Any]:
        """Keep the password for the same server and user only, so that it never goes to another server by mistake."""
        data = super().clean() or self.cleaned_data
        if not data.get("password"):
            user = data.get("user", "")
            same = (data.get("host"), user) == self.place
            if self.stored and user and not same:
                self.add_error("password", _t("Server or user name are new: type the password again."))
            data["password"] = self.stored if same else ""
        return data

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # the stubs leave it out; Django documents full_clean only
        if not self.errors:
            try:
                providers.check(self.instance, actor=self.actor)
            except ValidationError as err:
                self.add_error(None, err)  # it names the fields itself


class LimitForm(forms.ModelForm):
    """One limit of a server, in its own unit."""

    amount = forms.IntegerField(label=_("mails"), min_value=1, max_value=1_000_000_000)

    class Meta:
        model = ProviderLimit
        fields = ["amount", "seconds"]


class LimitInline(admin.TabularInline):
    """How many mails a server takes; open to whoever may change the server."""

    model = ProviderLimit
    form = LimitForm
    extra = 0
    max_num = len(ProviderLimit.Span)
    verbose_name = _("limit")
    verbose_name_plural = _("How many mails the server takes")

    def is_theirs(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether the server, which the page has found for this user, is one that they may change."""
        own = own_organization(request)
        return staff_user(request).is_staff and (own is None or obj is None or obj.organization == own)

    has_view_permission = has_add_permission = has_change_permission = has_delete_permission = is_theirs


class TestForm(forms.Form):
    """Where the test mail goes."""

    address = forms.EmailField(label=_("Send a test mail to"), widget=forms.EmailInput(attrs={"class": "input"}))


@admin.register(EmailProvider)
class EmailProviderAdmin(TenantAdmin):
    """SMTP settings of an organization; operators also see the shared one."""

    allows_add = allows_change = allows_delete = True
    form = ProviderForm
    inlines = [LimitInline]
    change_form_template = "admin/messaging/emailprovider/change_form.html"
    list_display = ["title", "organization", "host", "port", "security", "has_password", "health", "why", "tested_at"]
    list_select_related = ["organization"]
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": ["organization", "name", "is_default", "is_active"]}),
        (_("Server"), {"fields": ["host", "port", "security", "ca_bundle"]}),
        (_("Sign-in"), {"fields": ["user", "password"]}),
        (
            _("Sender"),
            {
                "description": SENDER_MODES,
                "fields": [
                    "sender_mode",
                    "from_address",
                    "from_name",
                    "reply_to_address",
                    "reply_to_name",
                    "envelope_from",
                ],
            },
        ),
        (_("Speed"), {"fields": ["max_connections"]}),
    ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Make the organization of an administrator's provider the own one: only operators make shared ones."""
        form = super().get_form(request, obj, change, **kwargs)
        if own_organization(request) is not None:
            form.base_fields["organization"].required = True
        form.actor = staff_user(request)  # type: ignore[attr-defined]
        return form

    @admin.display(description=_("name"))
    def title(self, obj: EmailProvider) -> str:
        """Return what it is called."""
        return cut(str(obj))

    @admin.display(description=_("password"))
    def has_password(self, obj: EmailProvider) -> str:
        """Say whether there is one; never which."""
        return _t("set") if obj.password else _t("not set")

    @admin.display(description=_("state"))
    def health(self, obj: EmailProvider) -> str:
        """Return whether it sends."""
        if obj.stopped_at:
            return pill("stopped")
        return pill("active" if obj.is_active else "inactive")

    @admin.display(description=_("why it stopped"))
    def why(self, obj: EmailProvider) -> str:
        """Return the reason, cut to a row."""
        return cut(obj.stopped_reason)

    def save_model(self, request: HttpRequest, obj: EmailProvider, form: Any, change: bool) -> None:
        """Save through the service that the command uses, too, and say what may keep mails from arriving."""
        providers.save(obj, actor=staff_user(request))
        if "_continue" not in request.POST:  # the form itself says it
            for doubt in providers.doubts(obj):
                messages.warning(request, doubt)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Set the limits through the service that the command uses, too."""
        formset.save(commit=False)  # tells the page's history what changed
        rows = [row for row in formset.cleaned_data if row and not row.get("DELETE")]
        limits = {row["seconds"]: row["amount"] for row in rows}
        providers.set_limits(form.instance, limits, actor=staff_user(request))

    def delete_model(self, request: HttpRequest, obj: EmailProvider) -> None:
        """Delete through the service."""
        providers.delete(obj, actor=staff_user(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[EmailProvider]) -> None:
        """Delete the chosen ones, each through the service."""
        for provider in queryset.select_related("organization"):
            providers.delete(provider, actor=staff_user(request))

    def get_urls(self) -> list[URLPattern]:
        """Add the test."""
        view = self.admin_site.admin_view(self.test_view)
        return [path("<path:object_id>/test/", view, name="messaging_emailprovider_test"), *super().get_urls()]

    @method_decorator(sensitive_post_parameters("password"))
    def changeform_view(self, *args: Any, **kwargs: Any) -> Any:
        """Keep the password out of error reports."""
        return super().changeform_view(*args, **kwargs)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Put the test beside the settings, and above them what may keep mails from arriving."""
        context["test_form"] = TestForm(initial={"address": staff_user(request).email})
        original = context.get("original")
        context["doubts"] = providers.doubts(original) if original is not None else []
        return super().render_change_form(request, context, *args, **kwargs)

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send a real mail and show the dialogue with the server."""
        provider = self.get_object(request, object_id)
        if provider is None or not self.has_change_permission(request, provider) or request.method != "POST":
            raise Http404
        form = TestForm(request.POST)
        dialogue = None
        if form.is_valid():
            if limiter.too_many("provider-test", staff_user(request).pk, TESTS_PER_MINUTE):
                form.add_error(None, _t("Five tests a minute are enough; wait a moment."))
            else:
                dialogue = providers.test(provider, form.cleaned_data["address"])
        provider.refresh_from_db()
        context = self.admin_site.each_context(request) | {
            "title": _t("Test of %s") % provider,
            "opts": self.model._meta,
            "original": provider,
            "form": form,
            "dialogue": dialogue,
        }
        return TemplateResponse(request, "admin/messaging/emailprovider/test.html", context)
