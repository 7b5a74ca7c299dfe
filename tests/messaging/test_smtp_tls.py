"""TLS that is checked, or no connection: nothing secret goes over the wire before (abuse case A40)."""

import pytest

from messaging.models import EmailProvider
from messaging.services import providers
from messaging.transports import guard
from tests.fakes.mail_server import MailServer, certificate, serve


@pytest.fixture
def check(acme):
    """Return a function that tests a provider against a server with given TLS; returns (dialogue, server)."""
    running = []

    def run(security, *, server_tls, ca_bundle="", host="localhost", password="right password", to="ada@acme.test"):
        server = MailServer()
        running.append(serve(server, **server_tls))
        provider = EmailProvider.objects.create(
            organization=acme, host=host, port=server.port, security=security, user="pitch", password=password,
            ca_bundle=ca_bundle, from_address="pitch@acme.test", is_guarded=False, is_default=False,
        )  # fmt: skip
        return providers.test(provider, to), server

    yield run
    for server in running:
        server.stop()


def pem(authority):
    return authority.cert_pem.bytes().decode()


@pytest.mark.parametrize(("security", "how"), [("ssl", "implicit"), ("starttls", "starttls")])
def test_a_checked_server_gets_the_mail(check, security, how):
    authority, context = certificate("localhost")
    found, server = check(security, server_tls={how: context}, ca_bundle=pem(authority))
    assert found.worked, found
    assert server.credentials == [(b"pitch", b"right password")]
    assert len(server.mails) == 1
    said = "\n".join(found.lines)
    assert "RCPT TO:<ada@acme.test>" in said
    assert "right password" not in said


@pytest.mark.req("R365", "R367", "R372")
def test_ssl_and_starttls_with_user_and_password(check):
    authority, context = certificate("localhost")
    for security, how in (("ssl", "implicit"), ("starttls", "starttls")):
        found, server = check(security, server_tls={how: context}, ca_bundle=pem(authority))
        assert found.worked
        assert server.credentials == [(b"pitch", b"right password")]


@pytest.mark.parametrize(
    ("security", "tls", "words"),
    [
        ("starttls", "plain", "does not offer"),
        ("starttls", "self-signed", "certificate cannot be trusted"),
        ("ssl", "self-signed", "certificate cannot be trusted"),
        ("ssl", "other-name", "certificate cannot be trusted"),
        ("starttls", "other-name", "certificate cannot be trusted"),
        ("ssl", "plain", "secure connection"),
    ],
)
@pytest.mark.abuse("A40")
def test_no_secret_goes_to_a_server_that_is_not_proven(check, security, tls, words):
    authority, context = certificate("elsewhere.example" if tls == "other-name" else "localhost")
    how = {"ssl": "implicit", "starttls": "starttls"}[security]
    server_tls = {} if tls == "plain" else {how: context}
    found, server = check(security, server_tls=server_tls, ca_bundle="" if tls == "self-signed" else pem(authority))
    assert not found.worked
    assert words in found.sentence
    assert server.credentials == []
    assert server.mails == []


@pytest.mark.abuse("A40")
def test_an_old_protocol_is_refused(check):
    import ssl

    authority, context = certificate("localhost")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    found, server = check("ssl", server_tls={"implicit": context}, ca_bundle=pem(authority))
    assert not found.worked
    assert server.credentials == []


def test_a_wrong_password_is_said_and_not_shown(check):
    authority, context = certificate("localhost")
    found, _server = check(
        "starttls", server_tls={"starttls": context}, ca_bundle=pem(authority), password="wr0ng-canary"
    )
    assert not found.worked
    assert "refused the user name or password" in found.sentence
    assert "wr0ng-canary" not in "\n".join(found.lines)


@pytest.mark.req("R372")
def test_plain_text_is_refused(check):
    found, server = check("none", server_tls={})
    assert not found.worked
    assert "Mail without TLS is not allowed" in found.sentence
    assert server.connections == 0


INSIDE = [
    "127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "fd00::1",
    "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "192.88.99.1", "2130706433", "0x7f000001", "localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.abuse("A3")
def test_settings_from_a_browser_reach_nothing_inside(acme, settings, host):
    server = MailServer()
    running = serve(server)
    settings.SMTP_ALLOWED_PORTS = [server.port]
    try:
        provider = EmailProvider.objects.create(
            organization=acme, host=host, port=server.port, security="starttls", is_guarded=True
        )
        found = providers.test(provider, "ada@acme.test")
    finally:
        running.stop()
    assert not found.worked
    assert server.connections == 0


@pytest.mark.abuse("A4")
def test_only_mail_ports(settings):
    settings.SMTP_ALLOWED_PORTS = [25, 465, 587]
    with pytest.raises(guard.Forbidden, match="use one of 25, 465, 587"):
        guard.check_port(22)


def test_networks_the_operator_allows(settings):
    import ipaddress

    with pytest.raises(guard.Forbidden):
        guard.resolve("127.0.0.1", 25)
    settings.SMTP_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    assert guard.resolve("127.0.0.1", 25) == ["127.0.0.1"]
