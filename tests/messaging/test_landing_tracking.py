"""What counts as watched: beacons, gestures, clamps, races, and whose visits count nowhere."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from messaging.models import Delivery, DeliveryEvent, Visit
from messaging.models.visits import Verdict
from messaging.services import visits
from tests.messaging.landing_world import (
    HUMAN,
    landing_path,
    make_delivery,
    make_message,
    make_video,
    seed_of,
    send_beacon,
)


@pytest.fixture
def delivery(alice):
    return make_delivery(make_message(alice, make_video(alice)))


@pytest.fixture
def clock(monkeypatch):
    """A clock for `time.time`, moved by hand."""

    class Clock:
        now = float(int(time.time()))

    monkeypatch.setattr(time, "time", lambda: Clock.now)
    return Clock


def open_page(client, delivery):
    return seed_of(client.get(landing_path(delivery)).content.decode())


def watch(client, delivery, clock, seconds=10, **fields):
    """Open the page, wait, and report that the first `seconds` were played."""
    seed = open_page(client, delivery)
    send_beacon(client, delivery, seed, 1)
    clock.now += seconds
    return seed, send_beacon(client, delivery, seed, 2, started=True, ranges=[[0, seconds]], **fields)


def test_the_first_human_play_is_on_the_delivery_at_once(client, delivery, clock):
    _seed, answer = watch(client, delivery, clock, **HUMAN)
    assert answer.status_code == 204
    delivery.refresh_from_db()
    assert delivery.played_at is not None
    assert delivery.visited_at is not None
    visit = Visit.objects.get()
    assert (visit.verdict, visit.reason, visit.watched_seconds) == (Verdict.HUMAN, "gesture", 10)
    facts = {(event.kind, event.verdict) for event in DeliveryEvent.objects.all()}
    assert facts == {("visit", "human"), ("play", "human")}


@pytest.mark.abuse("A26")
@pytest.mark.parametrize(
    "fields",
    [
        {"trusted": False, "user_activation": False, "visible": True},
        {"trusted": False, "user_activation": True, "visible": True},
        {"trusted": True, "user_activation": False, "visible": True},
        {"trusted": True, "user_activation": True, "visible": False},
        {"trusted": "yes", "user_activation": True, "visible": True},
        {},
    ],
)
def test_a_play_without_a_trusted_gesture_is_not_human(client, delivery, clock, fields):
    watch(client, delivery, clock, **fields)
    delivery.refresh_from_db()
    assert delivery.played_at is None
    assert delivery.visited_at is None
    visit = Visit.objects.get()
    assert (visit.verdict, visit.reason) == (Verdict.LIKELY_AUTOMATED, "play_without_gesture")
    assert set(DeliveryEvent.objects.values_list("verdict", flat=True)) == {"likely_automated"}


def test_a_gesture_alone_is_a_visit_and_no_play(client, delivery):
    seed = open_page(client, delivery)
    send_beacon(client, delivery, seed, 1, **HUMAN)
    delivery.refresh_from_db()
    assert delivery.visited_at is not None
    assert delivery.played_at is None


def test_a_play_of_one_second_does_not_count_until_it_goes_on(client, delivery, clock):
    seed = open_page(client, delivery)
    clock.now += 5
    send_beacon(client, delivery, seed, 1, started=True, ranges=[[0, 1]], **HUMAN)
    assert Delivery.objects.get().played_at is None
    assert DeliveryEvent.objects.get(kind="play").reason == "too_short"
    send_beacon(client, delivery, seed, 2, started=True, ranges=[[0, 4]], **HUMAN)
    assert Delivery.objects.get().played_at is not None
    play = DeliveryEvent.objects.get(kind="play")
    assert (play.verdict, play.reason) == ("human", "gesture")


def test_an_automated_visit_is_raised_by_a_later_gesture(client, delivery, clock):
    seed, _answer = watch(client, delivery, clock)
    assert Delivery.objects.get().played_at is None
    send_beacon(client, delivery, seed, 3, started=True, ranges=[[0, 10]], **HUMAN)
    assert Delivery.objects.get().played_at is not None
    assert set(DeliveryEvent.objects.values_list("verdict", flat=True)) == {"human"}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"user-agent": "Mozilla/5.0 (compatible; bingbot/2.0)"}, "declared_bot"),
        ({"user-agent": "Slackbot-LinkExpanding 1.0"}, "declared_bot"),
        ({"user-agent": "Mozilla/5.0 Chrome/130", "sec-purpose": "prefetch;prerender"}, "prefetch"),
    ],
)
def test_who_says_to_be_no_person_is_believed(client, delivery, clock, headers, reason):
    seed = open_page(client, delivery)
    clock.now += 10
    body = {"visit": seed, "sequence": 1, "started": True, "ranges": [[0, 9]], **HUMAN}
    client.post(landing_path(delivery) + "/beacon", body, content_type="application/json", headers=headers)
    assert (Visit.objects.get().verdict, Visit.objects.get().reason) == (Verdict.AUTOMATED, reason)
    assert Delivery.objects.get().played_at is None


def test_nobody_watches_faster_than_the_clock(client, delivery, clock):
    seed = open_page(client, delivery)
    clock.now += 3
    send_beacon(client, delivery, seed, 1, started=True, ranges=[[0, 42]], **HUMAN)
    assert Visit.objects.get().watched_seconds == 3 * visits.FASTEST + visits.SLACK_SECONDS


def test_seeking_adds_nothing_and_replays_count_once(client, delivery, clock):
    seed = open_page(client, delivery)
    clock.now += 100
    send_beacon(client, delivery, seed, 1, started=True, ranges=[[0, 5], [40, 42]], **HUMAN)
    send_beacon(client, delivery, seed, 2, started=True, ranges=[[0, 5], [3, 6], [40, 900]], **HUMAN)
    visit = Visit.objects.get()
    assert visit.watched_seconds == 8
    seen = int.from_bytes(bytes(visit.coverage), "little")
    assert [cell for cell in range(48) if seen >> cell & 1] == [0, 1, 2, 3, 4, 5, 40, 41]


def test_repeated_and_late_beacons_change_nothing(client, delivery, clock):
    seed = open_page(client, delivery)
    clock.now += 60
    for sequence, end in ((1, 3), (3, 9), (3, 20), (2, 6), (1, 3)):
        send_beacon(client, delivery, seed, sequence, started=True, ranges=[[0, end]], **HUMAN)
    visit = Visit.objects.get()
    assert (visit.last_sequence, visit.watched_seconds) == (3, 9)
    assert DeliveryEvent.objects.count() == 2


def test_a_short_video_can_be_watched_too(client, alice, clock):
    delivery = make_delivery(make_message(alice, make_video(alice, duration_ms=2_000)))
    watch(client, delivery, clock, seconds=1, **HUMAN)
    assert Delivery.objects.get().played_at is not None


@pytest.mark.parametrize("who", ["alice", "ada", "root"])
def test_sender_administrators_and_operators_count_nowhere(client, delivery, clock, signed_in, request, who):
    watch(signed_in(request.getfixturevalue(who)), delivery, clock, **HUMAN)
    visit = Visit.objects.get()
    assert visit.is_sender
    assert visit.verdict != Verdict.HUMAN
    delivery.refresh_from_db()
    assert delivery.played_at is None
    assert delivery.visited_at is None
    assert not DeliveryEvent.objects.exists()


@pytest.mark.parametrize("who", ["bob", "charlie"])
def test_colleagues_and_strangers_who_got_the_mail_count(delivery, clock, signed_in, request, who):
    watch(signed_in(request.getfixturevalue(who)), delivery, clock, **HUMAN)
    assert Delivery.objects.get().played_at is not None


def test_visits_of_a_test_mail_count_nowhere(client, alice, clock):
    delivery = make_delivery(make_message(alice, make_video(alice), is_test=True))
    answer = send_beacon(client, delivery, visits.new_seed(delivery), 1, **HUMAN)
    assert answer.status_code == 204
    assert not Visit.objects.exists()


def test_neither_address_nor_agent_nor_cookie_is_kept(client, delivery, clock):
    seed = open_page(client, delivery)
    answer = client.post(
        landing_path(delivery) + "/beacon",
        {"visit": seed, "sequence": 1},
        content_type="application/json",
        headers={"user-agent": "Mozilla/5.0 (iPhone; Mobile) Very/Special"},
        REMOTE_ADDR="198.51.100.77",
    )
    assert not answer.cookies
    row = Visit.objects.values().get()
    assert "198.51.100.77" not in str(row)
    assert "Special" not in str(row)
    assert row["device"] == "phone"


def test_the_key_of_the_source_hash_is_thrown_away(db):
    source = visits.Source("198.51.100.77", "Agent")
    today = visits.source_key(source)
    assert visits.source_key(source) == today
    assert visits.source_key(visits.Source("198.51.100.78", "Agent")) != today
    cache.clear()  # what the cache does by itself after 24 hours
    assert visits.source_key(source) != today


def test_a_person_on_the_page_settles_a_doubt(client, delivery):
    Delivery.objects.update(state=Delivery.State.IN_DOUBT, error_description="outcome unknown")
    seed = open_page(client, delivery)
    send_beacon(client, delivery, seed, 1)
    assert Delivery.objects.get().state == Delivery.State.IN_DOUBT
    send_beacon(client, delivery, seed, 2, **HUMAN)
    settled = Delivery.objects.get()
    assert settled.state == Delivery.State.ACCEPTED
    assert "visit" in settled.error_description


def test_a_page_cannot_report_for_another_ones_visit(client, delivery):
    other = make_delivery(delivery.message, address="kofi@torvald.example", name="Kofi")
    seed = open_page(client, other)
    assert send_beacon(client, delivery, seed, 1, **HUMAN).status_code == 400
    assert send_beacon(client, delivery, "made.99999999999.up", 1, **HUMAN).status_code == 400
    assert not Visit.objects.exists()


def test_a_seed_ends_after_a_day(client, delivery, clock):
    seed = open_page(client, delivery)
    clock.now += visits.SEED_SECONDS + 1
    assert send_beacon(client, delivery, seed, 1, **HUMAN).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{",
        "null",
        '{"visit": 1, "sequence": 1}',
        '{"visit": "x", "sequence": true}',
        '{"visit": "x", "sequence": 1, "ranges": [[0]]}',
        '{"visit": "x", "sequence": 1, "ranges": [[5, 1]]}',
        '{"visit": "x", "sequence": 1, "ranges": [[0, 1e9]]}',
        '{"visit": "x", "sequence": 1, "ranges": {"0": 1}}',
        "[" * 9000,
    ],
)
def test_nonsense_is_refused(client, delivery, body):
    answer = client.post(landing_path(delivery) + "/beacon", body, content_type="application/json")
    assert answer.status_code == 400
    assert not Visit.objects.exists()


@time_machine.travel(timezone.now(), tick=False)  # all of it within one minute
def test_a_beacon_is_small_and_seldom(client, delivery):
    path = landing_path(delivery) + "/beacon"
    assert client.post(path, "x" * 20_000, content_type="application/json").status_code == 413
    codes = [client.post(path, "{}", content_type="application/json").status_code for _ in range(242)]
    assert codes[-1] == 429
    assert client.get(path).status_code == 405


def test_a_loop_cannot_fill_the_table(client, delivery):
    now = timezone.now()
    rows = [
        Visit(organization=delivery.organization, delivery=delivery, reason="x", started_at=now) for _ in range(100)
    ]
    Visit.objects.bulk_create(rows)
    assert send_beacon(client, delivery, visits.new_seed(delivery), 1).status_code == 429
    assert Visit.objects.count() == 100


def test_two_processes_with_the_same_row_in_hand_lose_nothing(delivery):
    opened = int(time.time()) - 30
    code, _opened = visits.read_seed(delivery, visits.new_seed(delivery))
    one = visits.open_visit(delivery, code, visits.Source())
    other = visits.open_visit(delivery, code, visits.Source())
    visits.record_beacon(delivery, one, visits.Beacon(1, True, True, True, True, ((0, 5),)), opened_at=opened)
    now = visits.record_beacon(delivery, other, visits.Beacon(2, True, True, True, True, ((20, 25),)), opened_at=opened)
    assert (now.watched_seconds, Visit.objects.get().watched_seconds) == (10, 10)
    assert DeliveryEvent.objects.filter(kind="play").count() == 1
    assert Delivery.objects.get().played_at == one.played_at


@pytest.mark.django_db(transaction=True)
def test_many_beacons_at_once_make_one_play(alice):
    delivery = make_delivery(make_message(alice, make_video(alice)))
    opened = int(time.time()) - 30
    seed = visits.read_seed(delivery, visits.new_seed(delivery))
    assert seed is not None

    def hit(sequence):
        try:
            visit = visits.open_visit(delivery, seed[0], visits.Source("198.51.100.7", "Chrome"))
            report = visits.Beacon(sequence, True, True, True, True, ((0, 10 + sequence % 4),))
            visits.record_beacon(delivery, visit, report, opened_at=opened)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(hit, range(1, 13)))
    assert Visit.objects.count() == 1
    assert DeliveryEvent.objects.filter(kind="play", verdict="human").count() == 1
    assert DeliveryEvent.objects.count() == 2
    assert Visit.objects.get().last_sequence == 12
    assert Delivery.objects.get().played_at is not None


def test_without_csrf_token_but_only_with_the_page_in_hand(delivery):
    strict = Client(enforce_csrf_checks=True)
    seed = open_page(strict, delivery)
    assert send_beacon(strict, delivery, seed, 1, **HUMAN).status_code == 204
