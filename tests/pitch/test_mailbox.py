"""The demo's mail server on the wire, its files, and its pages."""

import asyncio
import smtplib
import socket
import threading
from pathlib import Path

import pytest

from pitch.mailbox.server import serve

MAIL = (
    b"From: Demo <demo@acme.test>\r\nTo: Anna <anna@torvald.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello in text\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello in <b>HTML</b></p><script>alert(1)</script>\r\n--b--\r\n"
)


@pytest.fixture
def mailbox(settings):
    """The real server on a free port; returns (port, folder)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(settings.PITCH_DATA) / "mailbox"
    loop = asyncio.new_event_loop()
    task = loop.create_task(serve(folder, port))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])), daemon=True)
    thread.start()
    for _attempt in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            threading.Event().wait(0.02)
    yield port, folder
    loop.call_soon_threadsafe(task.cancel)
    thread.join(10)
    loop.close()


def test_a_mail_is_one_file_of_the_bytes_as_received(mailbox):
    port, folder = mailbox
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
        smtp.sendmail("bounce@acme.test", ["anna@torvald.example", "kofi@asante.example"], MAIL)
    (file,) = folder.glob("*.eml")
    head = b"X-Envelope-From: bounce@acme.test\r\nX-Envelope-To: anna@torvald.example\r\nX-Envelope-To: kofi@asante.example\r\n"
    assert file.read_bytes() == head + MAIL
    assert list(folder.glob(".*.tmp")) == []


def test_it_refuses_and_puts_off_as_the_page_says(mailbox):
    port, _folder = mailbox
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
        smtp.ehlo()
        assert smtp.has_extn("size")
        assert smtp.has_extn("smtputf8")
        smtp.mail("a@acme.test")
        assert smtp.rcpt("refused.one@x.example")[0] == 550
        assert smtp.rcpt("greylisted@x.example")[0] == 451
        assert smtp.rcpt("greylisted@x.example")[0] == 250


def test_the_pages_show_html_text_and_source(client, mailbox, db):
    port, _folder = mailbox
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
        smtp.sendmail("bounce@acme.test", ["anna@torvald.example"], MAIL)
    listed = client.get("/mailbox/")
    (mail,) = listed.context["mails"]
    assert "Grüße" in listed.content.decode()
    assert "sandbox" in client.get(f"/mailbox/{mail.name}/").content.decode()
    assert "Hello in text" in client.get(f"/mailbox/{mail.name}/?view=text").content.decode()
    assert "boundary=b" in client.get(f"/mailbox/{mail.name}/?view=source").content.decode()
    frame = client.get(f"/mailbox/{mail.name}/html")
    policy = frame["Content-Security-Policy"]
    assert "script-src 'none'" in policy
    assert "sandbox" in policy
    assert client.get("/mailbox/?q=kofi").context["mails"] == []
    assert client.get("/mailbox/00000000000000000000-00000000/").status_code == 404
    client.post("/mailbox/clear")
    assert client.get("/mailbox/").context["mails"] == []


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Type: text/html; charset=x-unknown",
        b"Content-Type: text/html; charset=idna",
        b"Content-Type: text/html; charset=\xff\xfe",
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: x-odd",
        b"Content-Type: text/html\r\nReply-To: <",
        b"Content-Type: text/html\r\nReply-To: =?x-unknown?b?////?= <@",
        b"Content-Type: text/html\r\nReply-To: \xff\xfe <a@b",
        b"Content-Type: text/html\r\nReply-To: " + b"(" * 2000,
        b"Content-Type: text/html\r\nTo: " + b'"' + b"(" * 2000,
        b"Content-Type: text/html\r\nFrom: \xe4 <(@>, :;",
        b'Content-Type: text/html; =; charset*0*="',
    ],
)
def test_a_mail_that_cannot_be_decoded_is_shown_as_far_as_it_goes(client, settings, db, lines):
    folder = Path(settings.PITCH_DATA) / "mailbox"
    folder.mkdir()
    head = b"X-Envelope-From: a@acme.test\r\nX-Envelope-To: b@acme.test\r\nSubject: Odd\r\n"
    name = "00000000000000000001-00000000"
    (folder / f"{name}.eml").write_bytes(head + lines + b"\r\n\r\nGr\xc3\xbc\xc3\x9fe und Kuchen\r\n")
    assert "Odd" in client.get("/mailbox/").content.decode()
    for view in ("", "?view=html", "?view=text"):
        assert client.get(f"/mailbox/{name}/{view}").status_code == 200
    assert client.get(f"/mailbox/{name}/html").status_code == 200
    assert "Kuchen" in client.get(f"/mailbox/{name}/?view=source").content.decode()


def test_it_is_not_there_in_production(client, settings, db):
    settings.DEMO = False
    for path in ("/mailbox/", "/mailbox/x/", "/mailbox/x/html"):
        assert client.get(path).status_code == 404
    assert client.post("/mailbox/clear").status_code == 404
