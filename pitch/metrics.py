"""`GET /metrics`: what operators watch, in the Prometheus text format. Off unless METRICS_TOKEN is set.

The numbers are those of the admin's page "Sending" (messaging/services/operations.py). Labels are codes, slugs and classes of
replies: never an address, a subject, a server's words or a token.
"""

from collections import Counter
from collections.abc import Iterable

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from messaging.services import operations
from messaging.services.operations import Operations
from pitch import worker
from pitch.lib.outages import AWAY

REPLIES = 50


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer the metrics to whoever knows the token: 404 without a token in the settings, 401 without the right one."""
    if not settings.METRICS_TOKEN:
        raise Http404
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        return HttpResponse("Send the METRICS_TOKEN as Authorization: Bearer.\n", "text/plain", 401, headers=CHALLENGE)
    try:
        ages = worker.ages()
    except AWAY:
        ages = {}
    registry = CollectorRegistry()
    registry.register(Gauges(operations.gather(None, ages)))
    return HttpResponse(generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4)


CHALLENGE = {"WWW-Authenticate": 'Bearer realm="metrics"'}


class Gauges(Collector):
    """The numbers as gauges; none is a counter, because all are read from rows that come and go."""

    def __init__(self, found: Operations) -> None:
        self.found = found

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return all of them."""
        yield from self.queue()
        yield from self.workers()
        yield from self.providers()
        yield from self.buckets()
        yield self.ended()

    def queue(self) -> Iterable[GaugeMetricFamily]:
        """Return how much is on its way."""
        queue = self.found.queue
        most = f"; counted up to {operations.COUNTED}"
        family = GaugeMetricFamily(
            "pitch_queue_deliveries", f"Mails that wait: due now, or for later{most}", labels=["priority", "when"]
        )
        for depth in queue.depths:
            family.add_metric([depth.priority, "due"], depth.due.number)
            family.add_metric([depth.priority, "later"], depth.later.number)
        yield family
        for name, words, amount in (
            ("pitch_queue_leased", "Mails that a pump has taken", queue.leased),
            ("pitch_queue_held", "Waiting mails of paused messages, which are among the others", queue.held),
            ("pitch_queue_paused_messages", "Messages that are paused", queue.paused_messages),
            ("pitch_deliveries_in_doubt", "Mails of which nobody knows whether they went out", queue.in_doubt),
        ):
            yield GaugeMetricFamily(name, words + most, value=amount.number)

    def workers(self) -> Iterable[GaugeMetricFamily]:
        """Return what the worker's processes last said."""
        family = GaugeMetricFamily(
            "pitch_worker_age_seconds", "Seconds since the worker and each cluster were found well", labels=["part"]
        )
        for part, age in self.found.clusters.items():
            if age is not None:
                family.add_metric(["worker" if part == "heartbeat" else part], age)
        yield family
        pumps = Counter("alive" if pump.is_alive else "gone" for pump in self.found.pumps)
        family = GaugeMetricFamily(
            "pitch_pumps", "Pumps that hold a connection, and dead ones not yet replaced", labels=["state"]
        )
        for state in ("alive", "gone"):
            family.add_metric([state], pumps[state])
        yield family

    def providers(self) -> Iterable[GaugeMetricFamily]:
        """Return how each mail server is."""
        now = self.found.at
        for name, words, value in (
            ("active", "1 if it is switched on", lambda row: row.is_active),
            ("stopped", "1 if it has stopped", lambda row: row.stopped_at is not None),
            ("stopped_permanently", "1 if a person must change its settings", lambda row: row.is_stop_permanent),
            (
                "stopped_seconds",
                "Seconds since it stopped, 0 if it works",
                lambda row: (now - row.stopped_at).total_seconds() if row.stopped_at else 0,
            ),
            (
                "throttled_seconds",
                "Seconds until its limits have room again",
                lambda row: (row.throttled_until - now).total_seconds() if row.throttled_until else 0,
            ),
            ("connections", "Connections that are held", lambda row: row.connections),
            ("connections_allowed", "Connections it bears at the moment", lambda row: row.allowed),
            ("connections_max", "Connections it may have at most", lambda row: row.maximum),
        ):
            labels = ["provider", "organization"]
            family = GaugeMetricFamily(f"pitch_provider_{name}", f"Mail server: {words}", labels=labels)
            for row in self.found.providers:
                family.add_metric([row.code, row.organization], float(value(row)))
            yield family

    def buckets(self) -> Iterable[GaugeMetricFamily]:
        """Return what was given to each mail server within each of its limits."""
        for name, words, field in (
            ("limit_mails", "Mails it takes in a span of so many seconds", "amount"),
            ("spent_mails", "Mails it was given within that span", "spent"),
            ("room_mails", "Mails it takes now", "room"),
        ):
            labels = ["provider", "organization", "span"]
            family = GaugeMetricFamily(f"pitch_provider_{name}", f"Mail server: {words}", labels=labels)
            for row in self.found.providers:
                for bucket in row.buckets:
                    family.add_metric([row.code, row.organization, str(bucket.seconds)], getattr(bucket, field))
            yield family

    def ended(self) -> GaugeMetricFamily:
        """Return how many mails ended without being taken, by the class of the reply."""
        counts: Counter[tuple[str, str]] = Counter()
        for reason in self.found.reasons:
            counts[reason.state, operations.reply_class(reason)] += reason.count
        family = GaugeMetricFamily(
            "pitch_deliveries_ended_badly",
            f"Mails of the last 7 days that were not taken, by reply; the latest {operations.REASONS_READ}",
            labels=["state", "reply"],
        )
        for (state, reply), count in counts.most_common(REPLIES):
            family.add_metric([state, reply], count)
        return family
