"""How our SMTP client connects, secures and signs in: checked, or not at all (abuse case A40)."""

import base64
import hmac
import ssl
from datetime import UTC, datetime

import pytest

from messaging.transports.base import Envelope
from messaging.transports.client import NotOffered, Refused, SmtpClient
from messaging.transports.wire import ConnectionLost, Phase, ProtocolError, Timeouts, TlsFailed
from tests.fakes.mail_server import certificate
from tests.fakes.scripted_server import ScriptedServer

QUICK = Timeouts(connect=5, greeting=5, reply=5, data=5, block=5, dot=5, quit=5)
PASSWORD = "pässwörd-canary"


def encoded(text):
    return base64.b64encode(text.encode())


def trusting(authority):
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Dialogue(list):
    """Hears what a client says and is told."""

    def connect(self, server, *, user="", password="", host="127.0.0.1", timeouts=QUICK, context=None, **options):
        client = SmtpClient(
            host, server.port, name="pitch.test", context=context, timeouts=timeouts, listen=self.append, **options
        )
        try:
            client.connect(user, password)
        finally:
            client.drop()
        return client


@pytest.fixture
def dialogue():
    return Dialogue()


@pytest.mark.parametrize("end", [b"", b"\r\n"])
@pytest.mark.abuse("A40")
def test_what_was_said_before_tls_is_not_believed_after_it(dialogue, end):
    authority, server_context = certificate("localhost")

    def script(wire):
        wire.greet("STARTTLS")
        assert wire.line() == b"STARTTLS"
        wire.sock.sendall(b"220 go ahead\r\n250-evil.example\r\n250 AUTH PLAIN" + end)
        wire.start_tls(server_context)
        wire.wait()

    with ScriptedServer(script) as server, pytest.raises(ProtocolError) as error:
        dialogue.connect(
            server, host="localhost", context=trusting(authority), starttls=True, user="ada", password=PASSWORD
        )
    assert error.value.phase is Phase.TLS
    assert b"AUTH" not in server.received


def test_offers_made_in_the_clear_count_for_nothing(dialogue):
    authority, server_context = certificate("localhost")

    def script(wire):
        wire.greet("STARTTLS", "AUTH PLAIN", "PIPELINING")
        wire.line()
        wire.say("220 go ahead")
        wire.start_tls(server_context)
        wire.ehlo("SIZE 99")
        wire.wait()

    with ScriptedServer(script) as server, pytest.raises(NotOffered, match="AUTH"):
        dialogue.connect(
            server, host="localhost", context=trusting(authority), starttls=True, user="ada", password=PASSWORD
        )
    assert encoded(f"\0ada\0{PASSWORD}") not in server.received


@pytest.mark.parametrize(
    ("offers", "answer", "error"),
    [
        ([], "", NotOffered),
        (["STARTTLS"], "454 4.7.0 not now", Refused),
        (["STARTTLS"], "502 what", Refused),
        (["STARTTLS"], "220 go ahead\r\n", TlsFailed),
    ],
)
@pytest.mark.abuse("A40")
def test_without_tls_nothing_more_is_said(dialogue, offers, answer, error):
    def script(wire):
        wire.greet(*offers, "AUTH PLAIN LOGIN")
        if wire.line():
            wire.sock.sendall(answer.encode() if answer.endswith("\n") else answer.encode() + b"\r\n")
            if answer.startswith("220"):
                wire.sock.recv(10)
                wire.sock.sendall(b"250 not the hello of TLS\r\n")
            wire.wait()

    with ScriptedServer(script) as server, pytest.raises(error):
        dialogue.connect(server, context=ssl.create_default_context(), starttls=True, user="ada", password=PASSWORD)
    assert b"AUTH" not in server.received
    assert b"MAIL" not in server.received


LONG_AGO, YESTERDAY = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("starttls", [False, True])
@pytest.mark.parametrize(
    ("name", "made", "why"),
    [
        ("localhost", {"not_before": LONG_AGO, "not_after": YESTERDAY}, "expired"),
        ("elsewhere.example", {}, "Hostname mismatch"),
    ],
)
@pytest.mark.abuse("A40")
def test_a_certificate_that_proves_nothing(dialogue, name, made, why, starttls):
    authority, server_context = certificate(name, **made)

    def script(wire):
        if starttls:
            wire.greet("STARTTLS", "AUTH PLAIN")
            wire.line()
            wire.say("220 go ahead")
        wire.start_tls(server_context)
        wire.greet("AUTH PLAIN")
        wire.wait()

    with ScriptedServer(script) as server, pytest.raises(TlsFailed) as error:
        dialogue.connect(
            server, host="localhost", context=trusting(authority), starttls=starttls, user="ada", password=PASSWORD
        )
    assert why in error.value.why_untrusted
    assert b"AUTH" not in server.received


def test_the_name_is_checked_while_the_checked_address_is_connected_to(dialogue):
    authority, server_context = certificate("mail.example.test")

    def script(wire):
        wire.start_tls(server_context)
        wire.greet()
        wire.wait()

    with ScriptedServer(script) as server:
        # The first address has nobody listening, the next one is tried.
        dialogue.connect(
            server, host="mail.example.test", addresses=["127.0.0.2", "127.0.0.1"], context=trusting(authority)
        )
    assert "* TLSv1.3" in dialogue


def plain(wire):
    assert wire.line() == b"AUTH PLAIN " + encoded(f"\0ada\0{PASSWORD}")


def login(wire):
    assert wire.line() == b"AUTH LOGIN"
    wire.say("334 VXNlcm5hbWU6")
    assert wire.line() == encoded("ada")
    wire.say("334 UGFzc3dvcmQ6")
    assert wire.line() == encoded(PASSWORD)


def cram_md5(wire):
    assert wire.line() == b"AUTH CRAM-MD5"
    wire.say(b"334 " + encoded("<1.2@mail.example>"))
    digest = hmac.new(PASSWORD.encode(), b"<1.2@mail.example>", "md5").hexdigest()
    assert wire.line() == encoded(f"ada {digest}")


@pytest.mark.parametrize(
    ("offer", "exchange"),
    [
        ("AUTH LOGIN PLAIN CRAM-MD5", plain),
        ("auth=login plain", plain),
        ("AUTH CRAM-MD5 LOGIN", login),
        ("AUTH XOAUTH2 CRAM-MD5", cram_md5),
    ],
)
def test_signing_in_with_letters_beyond_ascii(dialogue, offer, exchange):
    def script(wire):
        wire.greet(offer)
        exchange(wire)
        wire.say("235 2.7.0 welcome")
        wire.wait()

    with ScriptedServer(script) as server:
        dialogue.connect(server, user="ada", password=PASSWORD)
    assert dialogue[-1] == "< 235 2.7.0 welcome"
    said = "\n".join(dialogue)
    assert PASSWORD not in said
    assert encoded(PASSWORD).decode() not in said


@pytest.mark.parametrize(
    ("offer", "answers", "error"),
    [
        ("AUTH PLAIN", ["535 5.7.8 no"], Refused),
        ("AUTH PLAIN", ["454 4.7.0 later"], Refused),
        ("AUTH PLAIN", ["334 more"], ProtocolError),
        ("AUTH LOGIN", ["334 a", "334 b", "334 c"], ProtocolError),
        ("AUTH CRAM-MD5", ["334 !!"], ProtocolError),
        ("AUTH XOAUTH2", [], NotOffered),
        ("AUTH", [], NotOffered),
        ("SIZE", [], NotOffered),
    ],
)
def test_signing_in_that_fails(dialogue, offer, answers, error):
    def script(wire):
        wire.greet(offer)
        for answer in answers:
            wire.line()
            wire.say(answer)
        wire.wait()

    with ScriptedServer(script) as server, pytest.raises(error):
        dialogue.connect(server, user="ada", password=PASSWORD)


def test_a_server_that_repeats_the_password_does_not_put_it_into_the_dialogue(dialogue):
    def script(wire):
        wire.greet("AUTH PLAIN")
        line = wire.line()
        wire.say(b"535-5.7.8 not " + line, f"535 5.7.8 nor {PASSWORD}")
        wire.wait()

    with ScriptedServer(script) as server, pytest.raises(Refused) as error:
        dialogue.connect(server, user="ada", password=PASSWORD)
    for text in (str(error.value), "\n".join(dialogue)):
        assert "[hidden]" in text
        assert PASSWORD not in text
        assert encoded(f"\0ada\0{PASSWORD}").decode() not in text


@pytest.mark.parametrize(
    ("script", "error", "phase"),
    [
        (lambda wire: wire.say("554 5.7.1 go away"), Refused, Phase.GREETING),
        (lambda wire: wire.say("421 4.3.2 too many connections"), Refused, Phase.GREETING),
        (lambda wire: wire.say("hello"), ProtocolError, Phase.GREETING),
        (lambda wire: wire.hang_up(), ConnectionLost, Phase.GREETING),
        (lambda wire: wire.wait(), ConnectionLost, Phase.GREETING),
        # Who does not know EHLO is not greeted with HELO.
        (lambda wire: (wire.say("220 x"), wire.line(), wire.say("502 what"), wire.line()), Refused, Phase.EHLO),
        (lambda wire: (wire.say("220 x", "250 mail.example"), wire.wait()), ProtocolError, Phase.EHLO),
    ],
)
def test_a_connection_that_does_not_come_about(dialogue, script, error, phase):
    with ScriptedServer(script) as server, pytest.raises(error) as found:
        dialogue.connect(server, timeouts=Timeouts(connect=5, greeting=0.3, quit=0.3))
    assert found.value.phase is phase
    assert b"HELO" not in server.received.replace(b"EHLO", b"")


def test_a_port_nobody_listens_on(dialogue):
    with ScriptedServer(lambda wire: None) as server:
        pass
    with pytest.raises(ConnectionLost) as lost:
        dialogue.connect(server)
    assert lost.value.phase is Phase.CONNECT


def test_a_client_that_is_not_connected_sends_nothing():
    client = SmtpClient("127.0.0.1", 1, name="pitch.test", context=None)
    with pytest.raises(ConnectionLost, match="not connected"):
        client.send(Envelope("a@x.example", "b@x.example", b"x\r\n"), lambda: None)


def test_starttls_needs_rules():
    with pytest.raises(ValueError, match="STARTTLS"):
        SmtpClient("127.0.0.1", 1, name="pitch.test", context=None, starttls=True)
