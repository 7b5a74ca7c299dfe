"""Mails that nobody can smuggle a header into (abuse cases A5, A6): what was built is read back from its bytes."""

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest

from messaging import mime
from messaging.mime import BadHeader, Letter, Mailbox

HEADERS = ["Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]


def letter(**changes):
    values = {
        "sender": Mailbox("Alice", "alice@acme.test"),
        "to": Mailbox("Anna", "anna@torvald.example"),
        "subject": "Hello",
        "html": "<p>Hello</p>",
        "text": "Hello\n",
        "message_id": "<abc@acme.test>",
        "date": datetime(2026, 5, 1, 12, 0, tzinfo=UTC),
    }
    return Letter(**{**values, **changes})


def read(raw):
    return message_from_bytes(raw, policy=policy.default)


BREAKS = ["x\r\nBcc: spy@evil.example", "x\nBcc: spy@evil.example", "x\rBcc: y", "x\0y", "x\x0by", "x\u2028y", "x\x85y"]
HIDDEN = ["=?UTF-8?Q?=0A?=Bcc: spy@evil.example", "=?utf-8?q?x=0D=0ABcc:_spy?=", "=?utf-8?b?Cg==?="]


@pytest.mark.parametrize("value", BREAKS + HIDDEN)
@pytest.mark.parametrize("place", ["subject", "name", "sender", "reply_to", "message_id", "unsubscribe_url"])
@pytest.mark.abuse("A5")
def test_a_line_break_is_refused_wherever_it_stands(place, value):
    changes = {
        "subject": {"subject": value},
        "name": {"to": Mailbox(value, "anna@torvald.example")},
        "sender": {"sender": Mailbox(value, "alice@acme.test")},
        "reply_to": {"reply_to": Mailbox(value, "r@acme.test")},
        "message_id": {"message_id": value},
        "unsubscribe_url": {"unsubscribe_url": value},
    }
    with pytest.raises(BadHeader, match=r"\.$"):
        mime.build(letter(**changes[place]))


@pytest.mark.parametrize(
    "address",
    [
        "a@x.test, b@y.test",
        "a@x.test b@y.test",
        "a@x.test;b@y.test",
        "<a@x.test>",
        'a"b@x.test',
        "a@b@c.test",
        "nobody",
    ],
)
@pytest.mark.abuse("A6")
def test_one_address_and_nothing_else(address):
    with pytest.raises(BadHeader, match="exactly one address"):
        mime.build(letter(to=Mailbox("", address)))


@pytest.mark.parametrize(
    "name",
    [
        "Anna",
        "Größe, Anna",
        '"CEO" <ceo@bank.example>',
        "ليلى الحدّاد",
        "a" * 120,
        "=?x",
        "Anna (home)",
        "O'Neil \\ Sons",
        "😀 Ünï",
    ],
)
def test_a_name_reads_back_as_it_was_and_never_as_an_address(name):
    parsed = read(mime.build(letter(to=Mailbox(name, "anna@torvald.example"))))
    (address,) = parsed["To"].addresses
    assert (address.display_name, address.addr_spec) == (name, "anna@torvald.example")
    assert sorted(parsed.keys()) == HEADERS


@pytest.mark.parametrize("subject", ["Grüße aus Köln", "x" * 250, "Größe " * 40, "=?no", "{name}", "Re: [list] a: b"])
def test_a_subject_reads_back_as_it_was(subject):
    raw = mime.build(letter(subject=subject))
    assert read(raw)["Subject"] == subject
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_headers_are_exactly_what_was_meant():
    raw = mime.build(
        letter(
            to=None,
            reply_to=Mailbox("Answers", "answers@acme.test"),
            on_behalf_of=Mailbox("", "service@acme.test"),
            unsubscribe_url="https://pitch.test/u/" + "x" * 90,
        )
    )
    parsed = read(raw)
    extra = ["List-Unsubscribe", "List-Unsubscribe-Post", "Reply-To", "Sender"]
    assert sorted(parsed.keys()) == sorted(HEADERS + extra)
    assert parsed["To"] == "undisclosed-recipients:;"
    # One unfolded line: a folded one has broken DKIM at relays.
    assert b"List-Unsubscribe: <https://pitch.test/u/" + b"x" * 90 + b">\r\n" in raw
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_one_click_is_promised_over_https_only():
    assert read(mime.build(letter(unsubscribe_url="http://127.0.0.1/u/x")))["List-Unsubscribe-Post"] is None


def test_long_lines_and_dots_survive():
    text = "." + "y" * 3000 + "\n.\n..\n"
    parsed = read(mime.build(letter(text=text, html=f"<p>{text}</p>")))
    assert parsed.get_body(("plain",)).get_content().replace("\r\n", "\n") == text


def test_the_same_letter_is_the_same_bytes():
    assert mime.build(letter()) == mime.build(letter())


def test_an_idn_domain_is_ascii_on_the_wire():
    from pitch.lib.emails import normalize

    raw = mime.build(letter(to=Mailbox("", normalize("anna@bücher.example"))))
    assert raw.isascii()
    assert read(raw)["To"] == "anna@xn--bcher-kva.example"


@pytest.mark.parametrize("value", ["=?nosuch?Q?x?=", "=?UTF-8?B?a?="])
def test_an_encoded_word_that_cannot_be_read_is_refused_in_words(value):
    with pytest.raises(mime.BadHeader, match="cannot be read"):
        mime.encode_text("Subject", value)
