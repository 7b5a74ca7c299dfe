"""What settings made by the API do: the mails that go through them, where they may lead, what is written down."""

import ipaddress
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from messaging.models import EmailProvider
from messaging.transports import guard
from tests.api.mail_config_world import LEAST, OK, SAMPLE, refused
from tests.fakes.mail_server import MailServer, certificate, serve


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"port": 22}, "port: Port 22 is not allowed for mail here; use one of 25, 465, 587, 2525"),
        ({"host": "127.0.0.1"}, "SMTP_ALLOWED_NETWORKS"),
        ({"host": "169.254.169.254"}, "SMTP_ALLOWED_NETWORKS"),
        ({"host": "::1"}, "SMTP_ALLOWED_NETWORKS"),
        ({"host": "::ffff:10.0.0.1"}, "SMTP_ALLOWED_NETWORKS"),
    ],
)
@pytest.mark.abuse("A3", "A4")
def test_a_program_may_name_what_people_may_name(call, settings, fields, words):
    refused(call({**LEAST, **fields}), 400, words)
    assert not EmailProvider.objects.exists()
    settings.SMTP_ALLOWED_PORTS = [22, 587]
    settings.SMTP_ALLOWED_NETWORKS = [ipaddress.ip_network(network) for network in ("0.0.0.0/0", "::/0")]
    assert call({**LEAST, **fields}).json() == OK


@pytest.mark.abuse("A3")
def test_a_name_that_leads_inside_is_never_connected_to(call, settings, server, ada, signed_in):
    settings.SMTP_ALLOWED_PORTS = [server.port]
    assert call({**LEAST, "host": "localhost", "port": server.port}).json() == OK
    path = reverse("admin:messaging_emailprovider_test", args=[EmailProvider.objects.get().pk])
    page = signed_in(ada).post(path, {"address": "ada@acme.test"}).content.decode()
    assert "SMTP_ALLOWED_NETWORKS" in page
    assert server.connections == 0
    with pytest.raises(guard.Forbidden):
        guard.resolve("localhost", server.port)


@pytest.fixture
def authority():
    return certificate("127.0.0.1")


@pytest.fixture
def server():
    handler = MailServer()
    running = serve(handler)
    yield handler
    running.stop()


@pytest.fixture
def invite(transactional_db, signed_in, ada):
    """Return a function: ada invites somebody, and it returns what the desk says then. The mail goes out at a real commit."""

    def send(email="zoe@acme.test"):
        form = {"organization": ada.organization.pk, "email": email, "name": "Zoe", "role": "editor"}
        return signed_in(ada).post(reverse("admin:accounts_invitation_add"), form, follow=True).content.decode()

    return send


@pytest.fixture
def deliver(call, settings, tmp_path, authority, invite):
    """Return a function that sets up a server with TLS by the API, sends an invitation, and returns (server, mail)."""
    settings.EMAIL_BACKEND = "messaging.system_mail.ProviderEmailBackend"
    issuer, context = authority
    (tmp_path / "ca.pem").write_bytes(issuer.cert_pem.bytes())

    def through(how, **fields):
        server = MailServer()
        running = serve(server, **{how: context})
        settings.SMTP_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
        settings.SMTP_ALLOWED_PORTS = [server.port]
        # The API has no field for an own authority: the operator (or the desk) gives it, and it stays with its host.
        place = {"host": "127.0.0.1", "port": server.port}
        call_command("configure_smtp", organization="acme", security="ssl", ca_file=str(tmp_path / "ca.pem"), **place)
        try:
            assert call({**SAMPLE, **place, "password": "right password", **fields}).json() == OK
            invite("kim@acme.test")
        finally:
            running.stop()
        (mail,) = server.mails
        assert mail.rcpt_to == ["kim@acme.test"]
        return server, mail

    return through


@pytest.mark.req("R422", "R450")
def test_a_notification_goes_through_the_settings_and_without_them_says_why(deliver, invite):
    assert "No mail server is set up" in invite()
    server, mail = deliver("starttls")
    assert server.credentials == [(b"videos@acme.test", b"right password")]
    assert mail.mail_from == "videos@acme.test"
    head = mail.content.split(b"\r\n\r\n")[0].decode().split("\r\n")
    assert "From: From KC Test team <videos@acme.test>" in head
    assert "Reply-To: Receiver <answers@acme.test>" in head


def test_two_first_calls_at_once_make_one_mail_server(transactional_db, call):
    start = threading.Barrier(4)

    def one(number):
        try:
            start.wait(10)
            return call({**LEAST, "host": f"smtp{number}.relay.example"}, client=Client()).json()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(4))) == [OK] * 4
    assert EmailProvider.objects.count() == 1


def test_a_new_organization_begins_with_the_service_address_and_a_chosen_mode_stays(call):
    call()
    assert EmailProvider.objects.get().sender_mode == "service"
    for mode in EmailProvider.SenderMode.values:
        EmailProvider.objects.update(sender_mode=mode)
        assert call(LEAST).json() == OK
        assert EmailProvider.objects.get().sender_mode == mode


@pytest.mark.req("R450")
def test_bounces_go_to_the_envelope_address_and_ssl_is_used_from_the_first_byte(deliver):
    server, mail = deliver("implicit", ssl="true", starttls="false", envelopeFrom="bounces@acme.test", replyTo="")
    assert server.credentials == [(b"videos@acme.test", b"right password")]
    assert mail.mail_from == "bounces@acme.test"
    assert b"Reply-To" not in mail.content
    assert b"Sender:" not in mail.content
