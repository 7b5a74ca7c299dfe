"""The limits on how often, on the file cache that `./run` uses when there is no Redis."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.urls import reverse

from messaging.services import providers, visits
from pitch.lib import limiter
from pitch.lib.caches import FileCache
from tests.messaging.landing_world import landing_path, make_delivery, make_message, make_video
from tests.messaging.test_admin import make_provider

NOON = datetime(2030, 5, 1, 12, 0, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def file_cache(settings, tmp_path):
    settings.CACHES = {"default": {"BACKEND": "pitch.lib.caches.FileCache", "LOCATION": tmp_path / "cache"}}


@pytest.fixture
def delivery(alice):
    return make_delivery(make_message(alice, make_video(alice)))


def test_the_settings_name_this_cache():
    from pitch import settings as real

    if not real.REDIS_URL:
        assert real.CACHES["default"]["BACKEND"] == f"{FileCache.__module__}.{FileCache.__name__}"


def test_too_many_wrong_links_are_forgiven_when_the_minute_is_over(client, db):
    with time_machine.travel(NOON, tick=False) as clock:
        assert [client.get(f"/v/wrong{n}").status_code for n in range(32)] == [404] * 30 + [429] * 2
        answer = client.get("/v/wrong")
        assert answer["Retry-After"] == "55"
        clock.shift(55)
        assert client.get("/v/wrong").status_code == 404


def test_one_wrong_link_a_minute_never_adds_up(client, db):
    for minute in range(35):
        with time_machine.travel(NOON + timedelta(minutes=minute), tick=False):
            assert client.get("/v/wrong").status_code == 404


def test_searches_of_many_minutes_do_not_add_up(signed_in, alice):
    for minute in range(7):
        with time_machine.travel(NOON + timedelta(minutes=minute), tick=False):
            client = signed_in(alice)
            codes = {client.get("/recipients/search", {"q": "anna"}).status_code for _time in range(20)}
            assert codes == {200}


def test_test_mails_and_provider_tests_of_many_minutes_do_not_add_up(signed_in, ada, acme, monkeypatch):
    message = make_message(ada, make_video(ada), status="draft")
    provider = make_provider(acme)
    monkeypatch.setattr(providers, "test", lambda row, to: providers.Dialogue(True, "It works.", []))
    for minute in range(9):
        with time_machine.travel(NOON + timedelta(minutes=minute), tick=False):
            client = signed_in(ada)
            assert client.post(reverse("messaging:message-test", args=[message.code])).status_code != 429
            path = reverse("admin:messaging_emailprovider_test", args=[provider.pk])
            assert "It works." in client.post(path, {"address": "ada@acme.test"}).content.decode()


def test_a_link_does_not_use_up_the_reports_of_another_behind_the_same_address(client, delivery):
    other = make_delivery(delivery.message, "Ben", "ben@torvald.example")
    with time_machine.travel(NOON, tick=False):
        for _time in range(240):
            client.post(landing_path(delivery) + "/beacon", "{}", content_type="application/json")
        answer = client.post(landing_path(delivery) + "/beacon", "{}", content_type="application/json")
        assert answer.status_code == 429
        seed = visits.new_seed(other)
        body = {"visit": seed, "sequence": 1}
        answer = client.post(landing_path(other) + "/beacon", body, content_type="application/json")
        assert answer.status_code == 204


def test_nobody_comes_between_two_steps_of_counting():
    def ask(_number: int) -> bool:
        return limiter.too_many("race", "somebody", 100)

    with time_machine.travel(NOON, tick=False), ThreadPoolExecutor(16) as pool:
        refused = sum(pool.map(ask, range(200)))
    assert refused == 100


def test_only_one_of_many_sets_a_key_first():
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda number: cache.add("key", number, 60), range(64))) == 1
