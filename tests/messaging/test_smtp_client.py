"""Our SMTP client against servers that say what no polite server says, byte by byte."""

import contextlib
from threading import Event

import pytest

from messaging.transports.base import Envelope
from messaging.transports.client import SmtpClient
from messaging.transports.encoding import Unsendable
from messaging.transports.wire import ConnectionLost, Phase, ProtocolError, Timeouts
from tests.fakes.mail_server import MailServer, serve
from tests.fakes.scripted_server import ScriptedServer

CONTENT = b"Subject: Hello\r\n\r\nHello\r\n"
PLAIN, PIPELINED = (), ("PIPELINING",)
SHORT = Timeouts(connect=5, greeting=0.2, reply=0.2, data=0.2, block=0.2, dot=0.2, quit=0.2)


def mail(number=1, content=CONTENT, **fields):
    values = {"mail_from": "ada@acme.test", "rcpt_to": f"to{number}@x.example", "content": content}
    return Envelope(**{**values, **fields})


@pytest.fixture
def connect():
    """Return a function that connects a client to a server; whatever happens, it is closed after the test."""
    clients = []

    def make(server, user="", password="", **options):
        options.setdefault("timeouts", Timeouts(connect=5, greeting=5, reply=5, data=5, block=5, dot=5, quit=5))
        client = SmtpClient("127.0.0.1", server.port, name="pitch.test", context=None, **options)
        clients.append(client)
        client.connect(user, password)
        return client

    yield make
    for client in clients:
        client.drop()


def send(client, envelope, following=None):
    """Send and return what was decided where."""
    answer = client.send(envelope, lambda: None, following)
    return answer.phase, answer.reply.code


def test_a_pipelined_mail_takes_one_round_trip_and_the_next_is_announced_with_the_dot(connect):
    def script(wire):
        wire.greet("PIPELINING", "SIZE 1000")
        assert wire.until(b"DATA\r\n").count(b"\r\n") == 3
        wire.say("250 ok", "250 ok", "354 go")
        for answer in (b"first", b"second"):
            wire.body()
            wire.until(b"DATA\r\n")  # before the mail's own answer
            wire.say(b"250 " + answer, "250 ok", "250 ok", "354 go")
        wire.body()
        wire.say("250 third")
        assert wire.line() == b"QUIT"
        wire.say("221 bye")

    with ScriptedServer(script) as server:
        client = connect(server)
        mails = [mail(1), mail(2), mail(3)]
        texts = [
            client.send(one, lambda: None, following).reply.text
            for one, following in zip(mails, [*mails[1:], None], strict=True)
        ]
        client.quit()
    assert texts == ["first", "second", "third"]
    commands = "MAIL FROM:<ada@acme.test> SIZE=25\r\nRCPT TO:<to{}@x.example>\r\nDATA\r\n"
    sent = [commands.format(number) + CONTENT.decode() + ".\r\n" for number in (1, 2, 3)]
    assert server.received.decode() == "EHLO pitch.test\r\n" + "".join(sent) + "QUIT\r\n"


def test_without_pipelining_nothing_is_said_before_the_answer(connect):
    def script(wire):
        wire.greet("SIZE")
        assert wire.line().startswith(b"MAIL")
        wire.say("550 no")
        assert wire.line() == b"RSET"  # not RCPT
        wire.say("250 ok")
        wire.line()
        wire.say("250 ok")
        wire.line()
        wire.say("550 no")
        assert wire.line() == b"RSET"  # not DATA
        wire.say("250 ok")
        wire.open_mail()
        wire.body()
        wire.say("250 kept")
        assert wire.line() == b"QUIT"  # `following` was not announced

    with ScriptedServer(script) as server:
        client = connect(server)
        assert send(client, mail(1)) == (Phase.MAIL, 550)
        assert send(client, mail(2)) == (Phase.RCPT, 550)
        assert send(client, mail(3), following=mail(4)) == (Phase.DOT, 250)
        client.quit()


@pytest.mark.parametrize(
    ("replies", "decided", "stays"),
    [
        (["550 5.1.8 no", "503 no", "503 no"], (Phase.MAIL, 550), True),
        (["451 later", "250 ok", "354 go"], (Phase.MAIL, 451), False),  # it waits for a mail from nobody
        (["250 ok", "550 5.1.1 no", "554 none"], (Phase.RCPT, 550), True),
        (["250 ok", "450 later", "354 go"], (Phase.RCPT, 450), False),
        (["250 ok", "250 ok", "451 later"], (Phase.DATA, 451), True),
        (["250 ok", "550 5.1.1 no", "421 bye"], (Phase.RCPT, 550), False),
        (["421 bye"], (Phase.MAIL, 421), False),
        (["250 ok", "421 bye"], (Phase.RCPT, 421), False),
        (["250 ok", "250 ok", "421 bye"], (Phase.DATA, 421), False),
    ],
)
def test_a_group_of_answers_is_matched(connect, replies, decided, stays):
    def script(wire):
        wire.greet(*PIPELINED)
        wire.until(b"DATA\r\n")
        wire.say(*replies)
        assert wire.line() == b"RSET"
        wire.say("250 ok")
        wire.until(b"DATA\r\n")
        wire.say("250 ok", "250 ok", "354 go")
        wire.body()
        wire.say("250 kept")
        wire.wait()

    with ScriptedServer(script) as server:
        client = connect(server)
        assert send(client, mail(1)) == decided
        assert client.is_connected is stays
        if stays:
            assert send(client, mail(2)) == (Phase.DOT, 250)
        client.drop()
    assert (b"\r\n.\r\n" in server.received) is stays
    assert b"Hello" not in server.received.partition(b"RSET")[0]


@pytest.mark.parametrize("offers", [PLAIN, PIPELINED])
@pytest.mark.parametrize("code", [250, 421, 450, 550])
def test_the_answer_to_the_dot(connect, offers, code):
    def script(wire):
        wire.greet(*offers)
        if offers:
            wire.until(b"DATA\r\n")
            wire.say("250 ok", "250 ok", "354 go")
        else:
            wire.open_mail()
        wire.body()
        wire.say(f"{code}-2.0.0 several", f"{code} 2.0.0 lines")
        wire.wait()

    with ScriptedServer(script) as server:
        client = connect(server)
        answer = client.send(mail(), lambda: None)
        assert (answer.phase, answer.reply.code) == (Phase.DOT, code)
        assert answer.reply.text == "2.0.0 several 2.0.0 lines"
        assert client.is_connected is (code != 421)
        client.drop()


STOPS = [
    (Phase.MAIL, lambda wire: wire.until(b"\r\n")),
    (Phase.RCPT, lambda wire: (wire.line(), wire.say("250 ok"), wire.line())),
    (Phase.DATA, lambda wire: (wire.line(), wire.say("250 ok"), wire.line(), wire.say("250 ok"), wire.line())),
    (Phase.DOT, lambda wire: (wire.open_mail(), wire.body())),
]


@pytest.mark.parametrize("end", ["hang_up", "wait"])
@pytest.mark.parametrize(("phase", "before"), STOPS)
@pytest.mark.abuse("A39")
def test_a_server_that_goes_or_stalls_leaves_a_doubt_only_after_the_dot(connect, phase, before, end):
    def script(wire):
        wire.greet()
        before(wire)
        getattr(wire, end)()

    with ScriptedServer(script) as server:
        client = connect(server, timeouts=SHORT)
        with pytest.raises(ConnectionLost) as lost:
            client.send(mail(), lambda: None)
    assert (lost.value.phase, lost.value.dot_written) == (phase, phase is Phase.DOT)
    assert not client.is_connected


@pytest.mark.parametrize("goes", [True, False])
@pytest.mark.abuse("A39")
def test_a_body_that_does_not_get_through_is_no_doubt(connect, goes):
    asked, ended = [], Event()

    def script(wire):
        wire.greet()
        wire.open_mail()
        if goes:
            wire.hang_up()
        else:
            ended.wait(10)  # without reading

    with ScriptedServer(script) as server:
        client = connect(server, timeouts=SHORT)
        with pytest.raises(ConnectionLost) as lost:
            client.send(mail(content=(b"y" * 70 + b"\r\n") * 500_000), lambda: asked.append("dot"))
        ended.set()
    assert asked == []
    assert (lost.value.phase, lost.value.dot_written) == (Phase.BODY, False)


def test_who_gives_up_before_the_dot_sends_nothing(connect):
    def script(wire):
        wire.greet(*PIPELINED)
        wire.until(b"DATA\r\n")
        wire.say("250 ok", "250 ok", "354 go")
        wire.wait()

    def give_up():
        raise InterruptedError("no")

    with ScriptedServer(script) as server:
        client = connect(server)
        with pytest.raises(InterruptedError):
            client.send(mail(1), give_up, following=mail(2))
        assert not client.is_connected
    assert b"\r\n.\r\n" not in server.received
    assert b"to2@" not in server.received


def test_the_dot_is_asked_for_after_the_body_has_gone(connect):
    seen, has_body = [], Event()

    def script(wire):
        wire.greet()
        wire.open_mail()
        wire.until(b"\r\n\r\nHello\r\n")
        seen.append("body")
        has_body.set()
        wire.until(b".\r\n")
        wire.say("250 ok")
        wire.wait()

    def before_dot():
        assert has_body.wait(10)  # the server has read it before we allow the dot
        seen.append("asked")

    with ScriptedServer(script) as server:
        client = connect(server)
        client.send(mail(), before_dot)
        client.drop()
    assert seen == ["body", "asked"]


@pytest.mark.parametrize(
    ("replies", "stays"),
    [(["250 ok", "250 ok", "354 go"], False), (["250 ok", "550 no", "554 none"], True), (["421 bye"], False)],
)
def test_an_announced_mail_is_taken_back(connect, replies, stays):
    def script(wire):
        wire.greet(*PIPELINED)
        wire.until(b"DATA\r\n")
        wire.say("250 ok", "250 ok", "354 go")
        wire.body()
        wire.until(b"DATA\r\n")
        wire.say("250 kept", *replies)
        assert wire.line() == b"RSET"
        wire.say("250 ok")
        wire.until(b"DATA\r\n")
        wire.say("250 ok", "250 ok", "354 go")
        wire.body()
        wire.say("250 kept")
        wire.wait()

    with ScriptedServer(script) as server:
        client = connect(server)
        assert send(client, mail(1), following=mail(2)) == (Phase.DOT, 250)
        client.abandon()
        assert client.is_connected is stays
        if stays:
            assert send(client, mail(3)) == (Phase.DOT, 250)
        client.drop()
    assert server.received.count(b"\r\n.\r\n") == (2 if stays else 1)


def test_another_mail_than_the_announced_one_is_refused(connect):
    def script(wire):
        wire.greet(*PIPELINED)
        wire.until(b"DATA\r\n")
        wire.say("250 ok", "250 ok", "354 go")
        wire.body()
        wire.until(b"DATA\r\n")
        wire.say("250 kept", "250 ok", "250 ok", "354 go")
        wire.wait()

    with ScriptedServer(script) as server:
        client = connect(server)
        send(client, mail(1), following=mail(2))
        with pytest.raises(ValueError, match="another mail"):
            client.send(mail(3), lambda: None)
        assert not client.is_connected
    assert server.received.count(b"\r\n.\r\n") == 1


def test_a_mail_that_cannot_be_announced_waits_for_its_turn(connect):
    def script(wire):
        wire.greet("PIPELINING", "SIZE 100")
        for _mail in range(2):
            wire.until(b"DATA\r\n")
            wire.say("250 ok", "250 ok", "354 go")
            wire.body()
            wire.say("250 kept")
        wire.wait()

    with ScriptedServer(script) as server:
        client = connect(server)
        large = mail(2, content=CONTENT * 10)
        assert send(client, mail(1), following=large) == (Phase.DOT, 250)
        with pytest.raises(Unsendable, match="larger"):
            client.send(large, lambda: None)
        assert send(client, mail(3)) == (Phase.DOT, 250)
        client.drop()
    assert b"to2@" not in server.received


@pytest.mark.parametrize(
    "reply",
    [
        b"hello there\r\n",
        b"\r\n",
        b"25\r\n",
        b"2500 ok\r\n",
        b"150 ok\r\n",
        b"999 ok\r\n",
        b"354 what\r\n",
        b"250-a\r\n550 b\r\n",
        b"250 " + b"x" * 3000 + b"\r\n",
        b"250-more\r\n" * 101,
        b"x" * 200_000,
    ],
)
@pytest.mark.parametrize("phase", [Phase.MAIL, Phase.DOT])
def test_what_is_no_reply_ends_the_connection(connect, reply, phase):
    def script(wire):
        wire.greet()
        if phase is Phase.DOT:
            wire.open_mail()
            wire.body()
        else:
            wire.line()
        wire.sock.sendall(reply)
        wire.wait()

    with ScriptedServer(script) as server:
        client = connect(server)
        with pytest.raises(ProtocolError) as error:
            client.send(mail(), lambda: None)
        assert not client.is_connected
    assert (error.value.phase, error.value.dot_written) == (phase, phase is Phase.DOT)


def test_a_letter_at_a_time_is_not_listened_to_for_ever(connect):
    def script(wire):
        wire.greet()
        wire.line()
        wire.sock.settimeout(0.05)
        for _letter in range(40):  # two seconds, each letter well within the time-out
            wire.sock.sendall(b"2")
            with contextlib.suppress(TimeoutError):
                wire.sock.recv(1)

    with ScriptedServer(script) as server:
        client = connect(server, timeouts=SHORT)
        with pytest.raises(ConnectionLost, match="timed out"):
            client.send(mail(), lambda: None)


@pytest.mark.parametrize("extra", ["250 and one more", "550 no"])
@pytest.mark.parametrize("offers", [PLAIN, PIPELINED])
def test_an_answer_nobody_asked_for_is_never_taken_for_the_next_one(connect, offers, extra):
    """Else the answer of one mail would be read as that of another."""

    def script(wire):
        wire.greet(*offers)
        if offers:
            wire.until(b"DATA\r\n")
            wire.say("250 ok", "250 ok", "354 go", extra)
        else:
            for reply in ("250 ok", "250 ok"):
                wire.line()
                wire.say(reply)
            wire.line()
            wire.say("354 go", extra)
        wire.wait()

    with ScriptedServer(script) as server:
        client = connect(server)
        with pytest.raises(ProtocolError) as error:
            client.send(mail(), lambda: None)
    assert not error.value.dot_written
    assert b"Hello" not in server.received


def test_a_large_body_arrives_as_it_was_with_its_dots(connect):
    content = b"Subject: x\r\n\r\n" + b".\r\n..\r\n.x\r\n" + (b"." * 990 + b"\r\n") * 500 + b"end without a line end"
    handler = MailServer()
    running = serve(handler)
    try:
        client = connect(running.handler)
        assert send(client, mail(content=content)) == (Phase.DOT, 250)
        assert send(client, mail(content=b".only")) == (Phase.DOT, 250)
        client.quit()
    finally:
        running.stop()
    assert [kept.content for kept in handler.mails] == [content + b"\r\n", b".only\r\n"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\r\n.\n.\r\nMAIL FROM:<spy@evil.example>\r\n", "line end"),
        (b"a\n.\r\nMAIL FROM:<spy@evil.example>\r\n", "line end"),
        (b"a\r.\r\nMAIL FROM:<spy@evil.example>\r\n", "line end"),
        (b"a\r\r\n", "line end"),
        (b"a\r.\nMAIL FROM:<spy@evil.example>\r\n", "line end"),
        (b"a\n\r.\n\rMAIL FROM:<spy@evil.example>\r\n", "line end"),
        (b"a\n", "line end"),
        (b"a\0b\r\n", "line end"),
        (b"x" * 999 + b"\r\n", "longer"),
        (b"a\r\n" * 500 + b"x" * 999 + b"\r\nb\r\n", "longer"),
        (b"a\r\n" + b"x" * 999, "longer"),
    ],
)
@pytest.mark.abuse("A5")
def test_a_content_two_servers_could_read_in_two_ways_does_not_go(connect, content, words):
    with ScriptedServer(lambda wire: (wire.greet(*PIPELINED), wire.wait())) as server:
        client = connect(server)
        with pytest.raises(Unsendable, match=words):
            client.send(mail(content=content), lambda: None)
        assert client.is_connected
        client.drop()
    assert server.received == b"EHLO pitch.test\r\n"


def test_a_line_of_998_bytes_goes(connect):
    content = b"a\r\n" + b"x" * 998 + b"\r\n" + b"y" * 998

    def script(wire):
        wire.greet()
        wire.open_mail()
        assert wire.body() == content + b"\r\n.\r\n"
        wire.say("250 ok")

    with ScriptedServer(script) as server:
        client = connect(server)
        assert send(client, mail(content=content)) == (Phase.DOT, 250)
        client.drop()


ADDRESSES = [
    "a@x.example\r\nRCPT TO:<b@y.example", "a@x.example\nDATA", "a@x.example\rDATA", "a@x.example\0", "a@x.example\x0b",
    "a@x.example> SIZE=1", "<a@x.example>", "a@x.example>,<b@y.example", "a@x.example, b@y.example", "a b@x.example",
    "a@b@x.example", "a@x.example\u2028", "a@x.example\x85", "a\xa0b@x.example", "@x.example", "a@", "a",
    "a@x..example\u0661", "a" * 250 + "@x.example",
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "address"), [(place, one) for place in ("mail_from", "rcpt_to") for one in ADDRESSES] + [("rcpt_to", "")]
)
@pytest.mark.abuse("A5", "A6")
def test_an_address_is_one_address_or_nothing_is_written(connect, place, address):
    with ScriptedServer(lambda wire: (wire.greet("PIPELINING", "SMTPUTF8"), wire.wait())) as server:
        client = connect(server)
        with pytest.raises(Unsendable):
            client.send(mail(**{place: address}), lambda: None)
        client.drop()
    assert server.received == b"EHLO pitch.test\r\n"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, b"MAIL FROM:<ada@acme.test> SIZE=25\r\nRCPT TO:<to1@x.example>"),
        ({"mail_from": ""}, b"MAIL FROM:<> SIZE=25\r\nRCPT TO:<to1@x.example>"),
        (
            {"rcpt_to": "anna@bücher.example"},
            b"MAIL FROM:<ada@acme.test> SIZE=25\r\nRCPT TO:<anna@xn--bcher-kva.example>",
        ),
        (
            {"rcpt_to": "jürgen@bücher.example"},
            "MAIL FROM:<ada@acme.test> SIZE=25 SMTPUTF8\r\nRCPT TO:<jürgen@xn--bcher-kva.example>".encode(),
        ),
        (
            {"content": "To: jürgen@x.example\r\n\r\nx\r\n".encode()},
            b"MAIL FROM:<ada@acme.test> SIZE=28 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<to1@x.example>",
        ),
    ],
)
@pytest.mark.abuse("A43")
def test_what_stands_in_the_envelope(connect, fields, expected):
    def script(wire):
        wire.greet("SIZE 1000", "8BITMIME", "SMTPUTF8")
        wire.open_mail()
        wire.body()
        wire.say("250 ok")

    with ScriptedServer(script) as server:
        client = connect(server)
        assert send(client, mail(**fields)) == (Phase.DOT, 250)
        client.drop()
    assert expected in server.received


@pytest.mark.parametrize(
    ("offers", "fields", "words"),
    [
        (["SIZE 10"], {}, "larger"),
        (["SIZE 1000"], {"rcpt_to": "jürgen@x.example"}, "SMTPUTF8"),
        ([], {"mail_from": "jürgen@x.example"}, "SMTPUTF8"),
        ([], {"content": "To: jürgen@x.example\r\n\r\n".encode()}, "SMTPUTF8"),
    ],
)
def test_what_the_server_cannot_carry_is_not_offered_to_it(connect, offers, fields, words):
    with ScriptedServer(lambda wire: (wire.greet(*offers), wire.wait())) as server:
        client = connect(server)
        with pytest.raises(Unsendable, match=words):
            client.send(mail(**fields), lambda: None)
        client.drop()
    assert server.received == b"EHLO pitch.test\r\n"


@pytest.mark.parametrize("limit", ["SIZE", "SIZE 0"])
def test_a_size_without_a_limit_limits_nothing(connect, limit):
    def script(wire):
        wire.greet(limit)
        wire.open_mail()
        wire.body()
        wire.say("250 ok")

    with ScriptedServer(script) as server:
        client = connect(server)
        assert send(client, mail()) == (Phase.DOT, 250)
        client.drop()


def test_goodbye_to_a_server_that_does_not_answer_ends(connect):
    with ScriptedServer(lambda wire: (wire.greet(), wire.line(), wire.wait())) as server:
        client = connect(server, timeouts=SHORT)
        client.quit()
        assert not client.is_connected
    assert server.received.endswith(b"QUIT\r\n")


def test_goodbye_after_an_announcement_is_to_hang_up(connect):
    def script(wire):
        wire.greet(*PIPELINED)
        wire.until(b"DATA\r\n")
        wire.say("250 ok", "250 ok", "354 go")
        wire.body()
        wire.until(b"DATA\r\n")
        wire.say("250 kept")  # and not a word about the announced one
        wire.wait()

    with ScriptedServer(script) as server:
        client = connect(server)
        send(client, mail(1), following=mail(2))
        client.quit()
        assert not client.is_connected
    assert server.received.endswith(b"DATA\r\n")


@pytest.mark.parametrize("name", ["x y", "x\r\nMAIL", "", "ü.example"])
def test_only_a_name_is_greeted_with(name):
    with pytest.raises(ValueError, match="EHLO"):
        SmtpClient("127.0.0.1", 25, name=name, context=None)


@pytest.mark.abuse("A39")
def test_the_dot_of_the_mail_before_makes_no_doubt_about_this_one(connect):
    def script(wire):
        wire.greet(*PIPELINED)
        wire.until(b"DATA\r\n")
        wire.say("250 ok", "250 ok", "354 go")
        wire.body()
        wire.until(b"DATA\r\n")
        wire.say("250 kept", "250 ok")

    with ScriptedServer(script) as server:
        client = connect(server)
        assert send(client, mail(1), following=mail(2)) == (Phase.DOT, 250)
        with pytest.raises(ConnectionLost) as lost:
            client.send(mail(2), lambda: None)
    assert (lost.value.phase, lost.value.dot_written) == (Phase.RCPT, False)
