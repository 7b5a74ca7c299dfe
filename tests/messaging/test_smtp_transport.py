"""What an answer of a mail server means, in words and for whom: a provider row against a scripted server."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from messaging.models import EmailProvider
from messaging.services import providers
from messaging.transports.base import Envelope, Outcome, ProviderStopped, SenderRefused, TooMany
from messaging.transports.wire import Timeouts
from tests.fakes.mail_server import MailServer, serve
from tests.fakes.scripted_server import ScriptedServer

CONTENT = b"Subject: Hello\r\n\r\nHello\r\n"


def mail(to="anna@torvald.example"):
    return Envelope("ada@acme.test", to, CONTENT)


@pytest.fixture
def transport(acme, settings):
    """Return a function that makes the transport of a provider row which names a server."""
    settings.SMTP_ALLOW_PLAINTEXT = True
    made = []

    def make(server, **columns):
        values = {"host": "127.0.0.1", "security": "none", "is_guarded": False, "is_default": True, **columns}
        provider = EmailProvider.objects.create(organization=acme, port=server.port, **values)
        made.append(providers.transport_for(provider))
        return made[-1]

    yield make
    for one in made:
        one.drop()


def answering(phase, reply):
    """Return a script that is polite until `phase` and answers that with `reply`."""

    def script(wire):
        if phase == "greeting":
            return wire.say(reply)
        wire.greet("AUTH PLAIN", "SIZE 9999999")
        for name, good in (("AUTH", "235 in"), ("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go")):
            if name == "AUTH" and phase != "AUTH":
                continue
            wire.line()
            if name == phase:
                wire.say(reply)
                return wire.wait()
            wire.say(good)
        wire.body()
        wire.say(reply)
        return wire.wait()

    return script


@pytest.mark.parametrize(
    ("phase", "reply", "outcome", "hard"),
    [
        ("dot", "250 2.0.0 kept", Outcome.ACCEPTED, False),
        ("dot", "251 will forward", Outcome.ACCEPTED, False),
        ("RCPT", "450 4.2.1 busy", Outcome.DEFERRED, False),
        ("RCPT", "450 4.7.0 greylisted", Outcome.DEFERRED, False),
        ("RCPT", "452 4.2.2 mailbox full", Outcome.DEFERRED, False),
        ("RCPT", "421 4.4.2 closing", Outcome.DEFERRED, False),
        ("DATA", "451 4.3.0 later", Outcome.DEFERRED, False),
        ("dot", "451 4.7.1 later", Outcome.DEFERRED, False),
        ("RCPT", "550 5.1.1 nobody", Outcome.BOUNCED, True),
        ("RCPT", "550 nobody", Outcome.BOUNCED, True),
        ("RCPT", "550 5.4.1 nobody", Outcome.BOUNCED, True),
        ("RCPT", "550 5.2.1 closed", Outcome.BOUNCED, True),
        ("dot", "552 5.2.2 full", Outcome.BOUNCED, False),
        ("MAIL", "552 5.3.4 too large", Outcome.BOUNCED, False),
        ("RCPT", "554 relay what", Outcome.BOUNCED, False),
        ("RCPT", "550 5.7.1 not wanted", Outcome.DROPPED, False),
        ("dot", "554 5.7.26 unauthenticated", Outcome.DROPPED, False),
        ("RCPT", "nonsense", Outcome.LOST, False),
        ("DATA", "250 what", Outcome.LOST, False),
        ("dot", "nonsense", Outcome.IN_DOUBT, False),
        ("dot", "354 what", Outcome.IN_DOUBT, False),
    ],
)
def test_what_an_answer_means_for_the_address(transport, phase, reply, outcome, hard):
    with ScriptedServer(answering(phase, reply)) as server:
        sender = transport(server)
        result = sender.send(mail(), lambda: None)
        sender.drop()
    assert (result.outcome, result.is_hard) == (outcome, hard)
    if outcome not in (Outcome.LOST, Outcome.IN_DOUBT):
        assert f"{result.code} {result.text}" == reply
    assert server.received.count(b"RCPT TO:") <= 1


@pytest.mark.parametrize(
    ("phase", "reply", "kind", "permanent", "sentence"),
    [
        ("greeting", "421 4.3.2 too many concurrent connections", TooMany, False, "too much from us at once"),
        ("greeting", "554 5.7.1 blocked", ProviderStopped, False, "does not want to talk"),
        ("AUTH", "535 5.7.8 bad", ProviderStopped, True, "refused the user name or password"),
        ("AUTH", "454 4.7.0 database", ProviderStopped, False, "cannot check the user name and password"),
        ("AUTH", "432 4.3.2 busy", TooMany, False, "too much from us at once"),
        ("MAIL", "421 4.7.0 try later", TooMany, False, "too much from us at once"),
        ("MAIL", "421 closing", ProviderStopped, False, "is busy"),
        ("MAIL", "530 5.7.57 client not authenticated", ProviderStopped, True, "asks for a user name"),
        ("MAIL", "550 5.1.8 no such domain", SenderRefused, True, "refused the sender ada@acme.test"),
        ("MAIL", "450 4.1.8 later", SenderRefused, False, "refused the sender ada@acme.test"),
        ("RCPT", "450 4.3.2 service busy", TooMany, False, "too much from us at once"),
        ("dot", "432 4.3.2 STOREDRV; sender thread limit exceeded", TooMany, False, "too much from us at once"),
        ("RCPT", "550 5.7.60 cannot send as", SenderRefused, True, "in this person's name"),
        ("dot", "554 5.2.252 SendAsDenied; ada", SenderRefused, True, "in this person's name"),
    ],
)
def test_what_an_answer_says_about_the_provider(transport, phase, reply, kind, permanent, sentence):
    account = {"user": "ada", "password": "secret-canary"} if phase == "AUTH" else {}
    with ScriptedServer(answering(phase, reply)) as server:
        sender = transport(server, **account)
        with pytest.raises(ProviderStopped, match=sentence) as stopped:
            sender.send(mail(), lambda: None)
        sender.drop()
    assert (type(stopped.value), stopped.value.permanent) == (kind, permanent)
    assert stopped.value.detail == reply
    if kind is SenderRefused:
        assert stopped.value.address == ("ada@acme.test" if phase == "MAIL" else "")


@pytest.mark.parametrize("end", ["421 4.4.2 too many mails in this connection", ""])
@pytest.mark.parametrize("offers", [[], ["PIPELINING"]])
@pytest.mark.abuse("A39")
def test_a_connection_the_server_has_enough_of_is_made_anew_once(transport, end, offers):
    """Nobody's attempt is burned by a server that takes one mail per connection."""

    def one_mail(wire):
        wire.greet(*offers)
        if offers:
            wire.until(b"DATA\r\n")
            wire.say("250 ok", "250 ok", "354 go")
        else:
            wire.open_mail()
        wire.body()
        wire.say("250 kept")
        wire.line()
        if end:
            wire.say(end)

    with ScriptedServer(one_mail) as server:
        sender = transport(server)
        mails = [mail(f"to{number}@x.example") for number in range(3)]
        outcomes = [
            sender.send(one, lambda: None, following).outcome
            for one, following in zip(mails, [*mails[1:], None], strict=True)
        ]
        sender.close()
    assert outcomes == [Outcome.ACCEPTED] * 3
    assert len(server.wires) == 3
    for number, wire in enumerate(server.wires):
        content = wire.received.partition(b"DATA\r\n")[2]
        assert content.startswith(CONTENT + b".\r\n")
        assert f"RCPT TO:<to{number}@x.example>".encode() in wire.received


def test_a_new_connection_that_breaks_is_not_tried_for_ever(transport):
    with ScriptedServer(lambda wire: (wire.greet(), wire.line())) as server:
        result = transport(server).send(mail(), lambda: None)
    assert result.outcome is Outcome.LOST
    assert len(server.wires) == 1


def test_an_abandoned_mail_does_not_go(transport):
    def script(wire):
        wire.greet("PIPELINING")
        wire.until(b"DATA\r\n")
        wire.say("250 ok", "250 ok", "354 go")
        wire.body()
        wire.until(b"DATA\r\n")
        wire.say("250 kept", "250 ok", "250 ok", "354 go")
        wire.wait()

    with ScriptedServer(script) as server:
        sender = transport(server)
        sender.send(mail("first@x.example"), lambda: None, mail("second@x.example"))
        sender.abandon()
        sender.close()
    assert server.received.count(b"\r\n.\r\n") == 1


def test_nothing_stays_announced_to_a_provider_that_stops(transport):
    def script(wire):
        wire.greet("PIPELINING")
        wire.until(b"DATA\r\n")
        wire.say("250 ok", "250 ok", "354 go")
        wire.body()
        wire.until(b"DATA\r\n")
        wire.say("432 4.3.2 sender thread limit exceeded", "250 ok", "250 ok", "354 go")
        wire.wait()

    def polite(wire):
        wire.greet()
        wire.open_mail()
        wire.body()
        wire.say("250 kept")
        wire.wait()

    with ScriptedServer(script, polite) as server:
        sender = transport(server)
        with pytest.raises(TooMany):
            sender.send(mail("first@x.example"), lambda: None, mail("second@x.example"))
        assert sender.send(mail("third@x.example"), lambda: None).outcome is Outcome.ACCEPTED
        sender.drop()
    assert server.received.count(b"\r\n.\r\n") == 2


@pytest.mark.abuse("A4")
def test_a_closed_port_reads_like_one_that_says_nothing_of_smtp(transport, settings):
    import ipaddress

    settings.SMTP_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    said = set()
    for script, is_open in ((lambda wire: wire.say("SSH-2.0-x"), True), (lambda wire: None, True), (None, False)):
        with ScriptedServer(script) as server:
            settings.SMTP_ALLOWED_PORTS = [server.port]
            sender = transport(server, is_guarded=True, is_default=False)
            if is_open:
                with pytest.raises(ProviderStopped) as stopped:
                    sender.connect()
        if not is_open:
            with pytest.raises(ProviderStopped) as stopped:
                sender.connect()
        said.add((str(stopped.value).replace(str(server.port), "PORT"), stopped.value.detail))
    assert said == {("The mail server 127.0.0.1 cannot be reached on port PORT.", "")}


def test_an_authority_that_is_no_pem_is_said(transport):
    with ScriptedServer(lambda wire: None) as server:
        sender = transport(server, security="ssl", ca_bundle="-----BEGIN CERTIFICATE-----\nx\n")
        with pytest.raises(ProviderStopped, match="own certificate authority") as stopped:
            sender.connect()
    assert stopped.value.permanent
    assert server.wires == []


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("https://pitch.example", b"pitch.example"),
        ("http://127.0.0.1:8000", b"[127.0.0.1]"),
        ("http://[::1]:8000", b"[IPv6:::1]"),
        ("https://bücher.example", b"xn--bcher-kva.example"),
    ],
)
def test_we_greet_with_the_configured_name(transport, settings, base, name):
    settings.PITCH_BASE_URL = base
    with ScriptedServer(lambda wire: (wire.greet(), wire.wait())) as server:
        sender = transport(server)
        sender.connect()
        sender.drop()
    assert server.received == b"EHLO " + name + b"\r\n"


# The command


@pytest.fixture
def server(settings):
    settings.SMTP_ALLOW_PLAINTEXT = True
    handler = MailServer()
    running = serve(handler)
    yield handler
    running.stop()


def check(capsys, *arguments):
    """Run the command; returns (exit code, what it wrote)."""
    try:
        call_command("check_smtp", "--organization", "acme", *arguments)
        code = 0
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr().out


@pytest.mark.req("R371")
def test_the_command_sends_a_test_mail_and_shows_the_dialogue(transport, server, capsys):
    transport(server, from_address="pitch@acme.test")
    code, said = check(capsys, "--to", "ada@acme.test")
    assert code == 0
    assert "> RCPT TO:<ada@acme.test>" in said
    assert said.splitlines()[-1] == "The mail server accepted a test mail to ada@acme.test."
    assert [kept.rcpt_to for kept in server.mails] == [["ada@acme.test"]]


def test_the_command_without_an_address_sends_nothing(transport, server, capsys):
    transport(server)
    code, said = check(capsys)
    assert (code, said.splitlines()[-1]) == (0, "The mail server can be used. No mail was sent.")
    assert server.log == []


@pytest.mark.req("R367")
def test_the_command_fails_with_a_sentence_and_without_the_password(transport, capsys):
    def script(wire):
        wire.greet("AUTH PLAIN")
        wire.say(b"535 5.7.8 no: " + wire.line())
        wire.wait()

    with ScriptedServer(script) as server:
        transport(server, user="ada", password="secret-canary")
        code, said = check(capsys, "--to", "ada@acme.test")
    assert (code, said.splitlines()[-1]) == (1, "The mail server refused the user name or password.")
    assert "535 5.7.8 no" in said
    for secret in ("secret-canary", "AGFkYQBzZWNyZXQtY2FuYXJ5"):
        assert secret not in said


@pytest.mark.parametrize(
    ("phase", "sentence"),
    [("RCPT", "did not take the test mail: timed out"), ("dot", "did not say whether it took the test mail")],
)
def test_nobody_waits_long_for_a_test(transport, capsys, monkeypatch, phase, sentence):
    monkeypatch.setattr(
        providers, "TEST_TIMEOUTS", Timeouts(greeting=5, reply=0.2, data=0.2, block=0.2, dot=0.2, quit=0.2)
    )

    def script(wire):
        wire.greet()
        if phase == "RCPT":
            wire.line()
            wire.say("250 ok")
        else:
            wire.open_mail()
        wire.wait()

    with ScriptedServer(script) as server:
        transport(server)
        code, said = check(capsys, "--to", "ada@acme.test")
    assert code == 1
    assert sentence in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--organization", "nobody"], "no organization"),
        (["--organization", "acme"], "No mail server is set up"),
    ],
)
def test_the_command_needs_something_to_check(acme, arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("check_smtp", *arguments)


def test_the_command_takes_one_address(transport, server):
    transport(server)
    with pytest.raises(CommandError, match="not one e-mail address"):
        call_command("check_smtp", "--organization", "acme", "--to", "a@x.example, b@x.example")
    assert server.connections == 0
