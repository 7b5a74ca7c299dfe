"""The drill's view of the scratch installation's tables: queue mails, and ask what became of them."""

from collections import Counter
from collections.abc import Sequence

import dj_database_url
from django.db import connections
from django.utils import timezone

from accounts.models import User
from messaging.models import Delivery, EmailProvider, Message

ALIAS = "drill"


class Rows:
    """The rows of one scratch installation, reached beside the database this process is set up for."""

    def __init__(self, database_url: str, port: int) -> None:
        found = {**connections.settings["default"], **dj_database_url.parse(database_url)}
        connections.settings[ALIAS] = connections.configure_settings({"default": found})["default"]
        # By columns: whole rows hold secrets, which only the keys of the scratch installation open.
        provider = EmailProvider.objects.using(ALIAS).filter(is_default=True)
        provider.update(host="127.0.0.1", port=port, security="none", is_guarded=False)
        self.provider_id, self.organization_id = provider.values_list("pk", "organization_id").get()
        self.sender_id = (
            User.objects.using(ALIAS).filter(organization_id=self.organization_id).values_list("pk", flat=True)[0]
        )

    def close(self) -> None:
        """Forget the connection."""
        connections[ALIAS].close()
        del connections.settings[ALIAS]

    def queue(self, addresses: Sequence[str], *, priority: int = 10) -> int:
        """Queue one mail for each address, due now; returns the message's id."""
        now = timezone.now()
        message = Message(
            organization_id=self.organization_id,
            sender_id=self.sender_id,
            subject="Drill",
            status="sending",
            send_after=now,
            sent_at=now,
        )
        message.save(using=ALIAS)
        rows = [
            Delivery(
                organization_id=self.organization_id, message_id=message.pk, position=number, address=address, address_key=address,
                priority=priority, provider_id=self.provider_id, next_at=now, date=now,
                internet_message_id=f"<drill-{message.pk}-{number}@drill.test>",
            )
            for number, address in enumerate(addresses)
        ]  # fmt: skip
        Delivery.objects.using(ALIAS).bulk_create(rows, batch_size=500)
        return message.pk

    def states(self, message_id: int) -> dict[str, str]:
        """Return the state of each address of a message."""
        return dict(Delivery.objects.using(ALIAS).filter(message_id=message_id).values_list("address", "state"))

    def count(self, message_id: int) -> Counter[str]:
        """Return how many rows of a message are in each state."""
        return Counter(self.states(message_id).values())

    def is_finished(self, message_id: int) -> bool:
        """Say whether no row of a message waits or is being sent."""
        return not Delivery.objects.using(ALIAS).filter(message_id=message_id, state__in=Delivery.OPEN).exists()

    def are_all_finished(self) -> bool:
        """Say whether no row at all waits or is being sent."""
        return not Delivery.objects.using(ALIAS).filter(state__in=Delivery.OPEN).exists()

    def attempts(self, message_id: int) -> int:
        """Return how many tries the rows of a message have used up."""
        rows = Delivery.objects.using(ALIAS).filter(message_id=message_id)
        return sum(rows.values_list("attempts", flat=True))

    def secure(self, security: str) -> None:
        """Change how the provider's connection is protected, as an administrator would."""
        provider = EmailProvider.objects.using(ALIAS).filter(pk=self.provider_id)
        provider.update(security=security, stopped_at=None, stopped_reason="", retry_at=None)

    def stopped_reason(self) -> str:
        """Return why the provider is stopped, if it is."""
        return EmailProvider.objects.using(ALIAS).values_list("stopped_reason", flat=True).get(pk=self.provider_id)

    def hurry(self, message_id: int) -> None:
        """Make what was deferred due now: a drill does not wait for minutes."""
        rows = Delivery.objects.using(ALIAS).filter(message_id=message_id, state=Delivery.State.DEFERRED)
        rows.update(next_at=timezone.now())
        EmailProvider.objects.using(ALIAS).update(retry_at=None)
