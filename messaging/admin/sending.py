"""Messages, deliveries, who must not be written to, and what became known: read-only, with actions that call services."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.admin_tools import TenantAdmin, staff_user
from accounts.models import Organization
from messaging.models import Delivery, DeliveryEvent, EmailProvider, Message, Suppression, Unsubscribe, Visit
from messaging.services import composing, landing, resending, suppressions
from pitch.lib.emails import BadAddress, address_key
from pitch.templatetags import components


def pill(state: str, text: str = "") -> str:
    """Return a state as the pill people know from the pages."""
    return render_to_string("components/pill.html", components.pill(state, text))


def cut(text: str, length: int = 60) -> str:
    """Return a text that fits into a row."""
    return Truncator(text).chars(length)


@admin.register(Message)
class MessageAdmin(TenantAdmin):
    """What was composed. Its text and parameters are its people's own and are not shown."""

    list_display = ["title", "state", "sender", "organization", "sent_at", "created_at"]
    list_select_related = ["sender", "organization"]
    list_filter = ["status", "kind", "is_test"]
    search_fields = ["=code", "=bulk_id", "=sender__email_key"]
    search_help_text = _("Code, tracking id or the sender's whole address")
    ordering = ["-id"]
    fields = [
        "state",
        "subject",
        "code",
        "bulk_id",
        "kind",
        "is_test",
        "organization",
        "sender",
        "video",
        "reply_to",
        "send_after",
        "sent_at",
        "canceled_at",
        "error_enum",
        "error_description",
        "created_at",
        "updated_at",
    ]
    readonly_fields = ["state"]
    actions = ["cancel"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """Leave out what is long or secret."""
        return super().get_queryset(request).defer("text_html", "signature_html", "msg_params", "template_snapshot")

    @admin.display(description=_("subject"), ordering="subject")
    def title(self, obj: Message) -> str:
        """Return the subject, or the code of a message without one."""
        return cut(obj.subject or obj.code)

    @admin.display(description=_("state"), ordering="status")
    def state(self, obj: Message) -> str:
        """Return the status as a pill."""
        return pill(obj.status)

    @admin.action(description=_("Cancel what has not gone"), permissions=["view"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        """Stop the chosen messages; mails that left have left."""
        sending = queryset.filter(status=Message.Status.SENDING).select_related("organization")
        stopped = sum(composing.cancel(message, actor=staff_user(request))[0] for message in sending)
        text = ngettext("%d mail was stopped.", "%d mails were stopped.", stopped) % stopped
        self.message_user(request, text, messages.SUCCESS if stopped else messages.INFO)


class StateFilter(admin.ChoicesFieldListFilter):
    """The states; what is in doubt comes from its partial index."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        """Find them first: else SQLite without statistics reads all rows, newest first, until it has a page of them."""
        rows = super().queryset(request, queryset)
        if rows is None or Delivery.State.IN_DOUBT not in request.GET.getlist("state__exact"):
            return rows
        # "> 0" is true of all, and names the index's column.
        found = Delivery.objects.filter(state=Delivery.State.IN_DOUBT, organization_id__gt=0).order_by()
        return rows.filter(pk__in=found.values("pk"))


@admin.register(Delivery)
class DeliveryAdmin(TenantAdmin):
    """One address's copy each, with the mail server's own words."""

    list_display = ["recipient", "subject", "pill", "words", "provider", "attempts", "updated_at"]
    list_select_related = ()  # no joins: see get_queryset
    list_filter = [("state", StateFilter), "kind"]
    search_fields = ["=address_key", "=code", "=internet_message_id"]
    search_help_text = _("The whole address, code or Message-ID")
    ordering = ["-id"]
    raw_id_fields = ["organization", "message", "person", "provider", "copy_of"]
    fields = [
        "pill",
        "organization",
        "message",
        "code",
        "kind",
        "name",
        "address",
        "provider",
        "attempts",
        "next_at",
        "reply_code",
        "reply_text",
        "provider_message_id",
        "internet_message_id",
        "error_enum",
        "error_description",
        "accepted_at",
        "finished_at",
        "visited_at",
        "played_at",
        "unsubscribed_at",
        "link_revoked_at",
        "link_expires_at",
        "created_at",
        "updated_at",
    ]
    readonly_fields = ["pill"]
    actions = ["withdraw", "confirm", "send_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Read messages and providers in queries of their own, without what is long or secret.

        Joined, a database may begin with the messages and sort millions of rows for a page of fifty.
        """
        hidden = ("text_html", "signature_html", "msg_params", "template_snapshot", "draft")
        messages = Message.objects.defer(*hidden)
        providers = EmailProvider.objects.defer("password", "ca_bundle")
        rows = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("message", messages), Prefetch("provider", providers))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        """Look where the text can be, so that an index answers: a Message-ID in brackets, an address, else a code."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if text.startswith("<"):
            return queryset.filter(internet_message_id=text), False
        if "@" in text:
            # The index begins with the organization; naming all of them lets operators use it, too.
            every = list(Organization.objects.values_list("pk", flat=True))
            try:
                return queryset.filter(organization_id__in=every, address_key=address_key(text)), False
            except BadAddress:
                return queryset.none(), False
        return queryset.filter(code=text.lower()), False

    @admin.display(description=_("recipient"))
    def recipient(self, obj: Delivery) -> str:
        """Return the address, or whom it was meant for when there is none."""
        return cut(obj.address or obj.user_id or obj.code)

    @admin.display(description=_("message"))
    def subject(self, obj: Delivery) -> str:
        """Return the message's subject."""
        return cut(obj.message.subject, 40)

    @admin.display(description=_("state"), ordering="state")
    def pill(self, obj: Delivery) -> str:
        """Return the state as a pill."""
        return pill(obj.state)

    @admin.display(description=_("the server's words"))
    def words(self, obj: Delivery) -> str:
        """Return what the server said, or our own reason."""
        said = f"{obj.reply_code or ''} {obj.reply_text}".strip()
        return cut(said or obj.error_description, 70)

    @admin.action(description=_("In doubt: it has arrived"), permissions=["view"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Say of chosen mails in doubt that they arrived."""
        self._resolve(request, queryset, has_arrived=True)

    @admin.action(description=_("In doubt: send it again (may arrive twice)"), permissions=["view"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Send chosen mails in doubt once more."""
        self._resolve(request, queryset, has_arrived=False)

    def _resolve(self, request: HttpRequest, queryset: QuerySet[Delivery], *, has_arrived: bool) -> None:
        count = resending.resolve_doubts(queryset, has_arrived=has_arrived, actor=staff_user(request))
        left = queryset.count() - count
        text = ngettext("%d mail was decided.", "%d mails were decided.", count) % count
        if left and count:
            text += " " + _("The others were not in doubt.")
        elif left:
            text = str(_("None of these mails is in doubt."))
        self.message_user(request, text)

    @admin.action(description=_("Withdraw the personal links"), permissions=["view"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Close the chosen links."""
        count = landing.withdraw(queryset, actor=staff_user(request))
        self.message_user(request, ngettext("%d link was withdrawn.", "%d links were withdrawn.", count) % count)


@admin.register(Suppression)
class SuppressionAdmin(TenantAdmin):
    """Addresses nothing is sent to, until somebody lifts that."""

    list_display = ["address_key", "reason", "words", "organization", "created_at", "lifted_at"]
    list_select_related = ["organization"]
    list_filter = ["reason", ("lifted_at", admin.EmptyFieldListFilter)]
    search_fields = ["=address_key"]
    search_help_text = _("The whole address")
    ordering = ["-id"]
    fields = ["organization", "address_key", "reason", "detail", "delivery", "created_at", "lifted_at"]
    actions = ["lift"]

    @admin.display(description=_("the server's words"))
    def words(self, obj: Suppression) -> str:
        """Return what the server said."""
        return cut(obj.detail, 70)

    @admin.action(description=_("Lift: these addresses may be written to again"), permissions=["view"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        """End the chosen suppressions."""
        count = suppressions.lift(queryset, actor=staff_user(request))
        text = ngettext("%d address may be written to again.", "%d addresses may be written to again.", count) % count
        self.message_user(request, text)


@admin.register(Unsubscribe)
class UnsubscribeAdmin(TenantAdmin):
    """Opt-outs: only the person can take one back."""

    list_display = ["address_key", "group", "organization", "source", "created_at", "ended_at"]
    list_select_related = ["organization"]
    list_filter = ["source", ("ended_at", admin.EmptyFieldListFilter)]
    search_fields = ["=address_key"]
    search_help_text = _("The whole address")
    ordering = ["-id"]
    fields = ["organization", "address_key", "group", "source", "delivery", "created_at", "ended_at"]


@admin.register(DeliveryEvent)
class DeliveryEventAdmin(TenantAdmin):
    """Facts, as they were appended."""

    list_display = ["occurred_at", "kind", "who", "reason", "delivery_code"]
    list_select_related = ["delivery"]
    list_filter = ["kind", "verdict"]
    search_fields = ["=delivery__code", "=delivery__address_key"]
    search_help_text = _("The delivery's code or whole address")
    ordering = ["-id"]
    fields = ["organization", "delivery", "kind", "who", "reason", "occurred_at", "created_at"]
    readonly_fields = ["who"]

    @admin.display(description=_("who it was"), ordering="verdict")
    def who(self, obj: DeliveryEvent) -> str:
        """Return the verdict as a pill."""
        return pill(obj.verdict)

    @admin.display(description=_("delivery"))
    def delivery_code(self, obj: DeliveryEvent) -> str:
        """Return whose it is."""
        return cut(obj.delivery.address or obj.delivery.code)


@admin.register(Visit)
class VisitAdmin(TenantAdmin):
    """Visits of landing pages."""

    list_display = ["started_at", "who", "reason", "recipient", "watched_seconds", "device", "is_sender"]
    list_select_related = ["delivery"]
    list_filter = ["verdict", "is_sender"]
    search_fields = ["=delivery__code", "=delivery__address_key"]
    search_help_text = _("The delivery's code or whole address")
    ordering = ["-id"]
    fields = [
        "organization",
        "delivery",
        "who",
        "reason",
        "is_sender",
        "device",
        "watched_seconds",
        "played_at",
        "started_at",
        "last_seen_at",
    ]
    readonly_fields = ["who"]

    @admin.display(description=_("who it was"), ordering="verdict")
    def who(self, obj: Visit) -> str:
        """Return the verdict as a pill."""
        return pill(obj.verdict)

    @admin.display(description=_("recipient"))
    def recipient(self, obj: Visit) -> str:
        """Return whose page it was."""
        return cut(obj.delivery.address or obj.delivery.code)
