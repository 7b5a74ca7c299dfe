"""Behind a proxy that ends TLS, and below a base domain."""

import ipaddress

import pytest

LOGIN = "/accounts/login/"


@pytest.fixture
def secure(settings):
    """Plain http is sent to https, as in production; the proxy is on loopback."""
    settings.SECURE_SSL_REDIRECT = True
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.0/8")]


def test_what_the_proxy_got_over_https_is_answered(client, db, secure):
    assert client.get(LOGIN, headers={"x-forwarded-proto": "https"}).status_code == 200
    assert client.get(LOGIN).status_code == 301


def test_a_stranger_cannot_speak_for_the_proxy(client, db, secure):
    answer = client.get(LOGIN, headers={"x-forwarded-proto": "https"}, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == 301


def test_the_installations_own_host_may_lie_below_the_base_domain(client, settings, acme):
    settings.PITCH_BASE_DOMAIN = "pitch.test"
    settings.PITCH_BASE_URL = "http://app.pitch.test"
    assert client.get(LOGIN, headers={"host": "app.pitch.test"}).status_code == 200
    assert "Acme" in client.get(LOGIN, headers={"host": "acme.pitch.test"}).content.decode()
    assert client.get(LOGIN, headers={"host": "nobody.pitch.test"}).status_code == 404
