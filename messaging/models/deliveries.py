"""One address's copy of a message: the heart (design.md §5)."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization, Person
from accounts.models.organizations import TenantQuerySet
from messaging.models.messages import Message
from messaging.models.providers import EmailProvider
from pitch.lib.fields import CodeField


class Delivery(models.Model):
    """A recipient's copy: name and address are frozen here. The rows are the queue; tasks are only wake-ups."""

    class Kind(models.TextChoices):
        """Which copy it is. A Pitch message's Bcc is a delivery like any other, in its own envelope."""

        PRIMARY = "primary", _("To")
        CC = "cc", _("Cc")
        BCC = "bcc", _("Bcc")

    class State(models.TextChoices):
        """The states of design.md §5; mapped once to the API's words (messaging.md (c))."""

        QUEUED = "queued", _("queued")
        LEASED = "leased", _("sending")
        DEFERRED = "deferred", _("deferred")
        IN_DOUBT = "in_doubt", _("in doubt")
        ACCEPTED = "accepted", _("accepted")
        DELIVERED = "delivered", _("delivered")
        BOUNCED = "bounced", _("bounced")
        DROPPED = "dropped", _("dropped")
        ERROR = "error", _("error")
        SKIPPED = "skipped", _("skipped")
        CANCELED = "canceled", _("canceled")

    WAITING = (State.QUEUED, State.DEFERRED)
    OPEN = (State.QUEUED, State.LEASED, State.DEFERRED)

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="deliveries")
    message = models.ForeignKey(Message, models.CASCADE, related_name="deliveries")
    code = CodeField()
    kind = models.CharField(max_length=7, choices=Kind.choices, default=Kind.PRIMARY)
    copy_of = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="copies")
    position = models.PositiveIntegerField(
        default=0, help_text=_("Order of sending: recipients first, then Bcc, as given.")
    )

    person = models.ForeignKey(Person, models.SET_NULL, null=True, blank=True, related_name="deliveries")
    user_id = models.CharField(max_length=120, blank=True)
    name = models.CharField(_("name"), max_length=254, blank=True)
    address = models.CharField(_("address"), max_length=254, blank=True)
    address_key = models.CharField(max_length=254, blank=True)

    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.QUEUED)
    lane = models.CharField(max_length=16, blank=True, help_text=_("At most one row of a lane is leased at a time."))
    priority = models.PositiveSmallIntegerField(default=0, help_text=_("0: personal mail; 10: bulk."))
    provider = models.ForeignKey(EmailProvider, models.SET_NULL, null=True, blank=True, related_name="deliveries")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    lease = models.CharField(max_length=120, blank=True, help_text=_("Who holds the row: host, process, random."))
    lease_until = models.DateTimeField(null=True, blank=True)
    # Committed before the body goes out: a worker killed before it sent nothing, one killed after it leaves a doubt.
    in_flight_at = models.DateTimeField(null=True, blank=True)

    # Fixed when the row is made, so that every attempt sends the same headers (design.md §5.4).
    internet_message_id = models.CharField(max_length=255)  # the Message-ID header, with its brackets
    date = models.DateTimeField()

    reply_code = models.PositiveSmallIntegerField(null=True, blank=True)
    reply_text = models.CharField(_("the server's words"), max_length=500, blank=True)
    provider_message_id = models.CharField(max_length=255, blank=True)
    error_enum = models.CharField(max_length=60, blank=True)
    error_description = models.CharField(max_length=500, blank=True)

    accepted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    visited_at = models.DateTimeField(null=True, blank=True, help_text=_("First human visit of the landing page."))
    played_at = models.DateTimeField(null=True, blank=True, help_text=_("First human play."))
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    link_revoked_at = models.DateTimeField(null=True, blank=True)
    link_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["message", "position", "id"]
        constraints = [
            models.UniqueConstraint(
                name="delivery_one_primary_per_address",
                fields=["message", "address_key"],
                condition=models.Q(kind="primary") & ~models.Q(address_key=""),
            ),
            models.UniqueConstraint(
                name="delivery_one_copy_per_address",
                fields=["message", "kind", "address_key", "copy_of"],
                condition=~models.Q(kind="primary") & models.Q(copy_of__isnull=False),
            ),
            models.UniqueConstraint(
                name="delivery_one_bcc_per_address",
                fields=["message", "kind", "address_key"],
                condition=~models.Q(kind="primary") & models.Q(copy_of__isnull=True),
            ),
            # R379: never two calls at once for one message; no race can get past this.
            models.UniqueConstraint(
                name="delivery_one_leased_per_lane",
                fields=["lane"],
                condition=models.Q(state="leased") & ~models.Q(lane=""),
            ),
            models.CheckConstraint(
                name="delivery_leased_has_lease",
                condition=~models.Q(state="leased") | (~models.Q(lease="") & models.Q(lease_until__isnull=False)),
            ),
        ]
        indexes = [
            # The claim: what is due, most urgent first.
            models.Index(
                name="delivery_due",
                fields=["priority", "next_at", "id"],
                condition=models.Q(state__in=["queued", "deferred"]),
            ),
            # A pump's claim: one provider's rows, one organization's after another's.
            models.Index(
                name="delivery_due_by_provider",
                fields=["provider", "organization", "priority", "next_at", "position", "id"],
                condition=models.Q(state__in=["queued", "deferred"]),
            ),
            # Recovery: whose leases ran out or whose holder died.
            models.Index(name="delivery_leased", fields=["lease"], condition=models.Q(state="leased")),
            # message/stats and the message page: how many in each state.
            models.Index(name="delivery_by_state", fields=["message", "state"]),
            # Suppression, people pages, webhooks: all mail to one address.
            models.Index(name="delivery_by_address", fields=["organization", "address_key", "-created_at"]),
            models.Index(name="delivery_by_message_id", fields=["internet_message_id"]),
            # The admin's first page: today's numbers, and what waits for a decision.
            models.Index(
                name="delivery_accepted",
                fields=["accepted_at", "organization"],
                condition=models.Q(accepted_at__isnull=False),
            ),
            models.Index(
                name="delivery_played",
                fields=["played_at", "organization"],
                condition=models.Q(played_at__isnull=False),
            ),
            models.Index(
                name="delivery_refused",
                fields=["finished_at", "organization"],
                condition=models.Q(state__in=["bounced", "dropped", "error"]),
            ),
            models.Index(name="delivery_in_doubt", fields=["organization"], condition=models.Q(state="in_doubt")),
        ]

    def __str__(self) -> str:
        return f"{self.address or self.user_id} ({self.get_state_display()})"
