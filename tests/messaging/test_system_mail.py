"""Pitch's own mails as they arrive: invitations and password resets, through a real server on loopback."""

import re
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.models import User
from messaging.models import EmailProvider
from tests.conftest import PASSWORD
from tests.fakes.mail_server import MailServer, serve

INVITE = "/admin/accounts/invitation/add/"
RESET = "/accounts/password/reset/"


@pytest.fixture
def server(settings):
    settings.SMTP_ALLOW_PLAINTEXT = True
    settings.EMAIL_BACKEND = "messaging.system_mail.ProviderEmailBackend"
    handler = MailServer()
    controller = serve(handler)
    yield handler
    controller.stop()


@pytest.fixture
def provider(acme, server):
    return make_provider(acme, server)


@pytest.fixture
def ask(client, server, monkeypatch, django_capture_on_commit_callbacks):
    """Return a function that asks for a password reset and then does what was left for the worker."""
    left = []
    monkeypatch.setattr("pitch.lib.queue.async_task", lambda task, *ids, **options: left.append((task, *ids)))

    def reset(email):
        with django_capture_on_commit_callbacks(execute=True):
            assert client.post(RESET, {"email": email}).status_code == 302
        assert server.connections == 0, "the request must not speak to the mail server"
        for task, *ids in left:
            import_string(task)(*ids)

    return reset


@pytest.fixture
def invite(transactional_db, signed_in, ada):
    """Return a function with which ada invites; it returns the page that follows. The mail goes out at a real commit."""

    def add(**fields):
        form = {"organization": ada.organization.pk, "role": "member", **fields}
        return signed_in(ada).post(INVITE, form, follow=True).content.decode()

    return add


def make_provider(organization, server, **fields):
    given = {"host": "127.0.0.1", "port": server.port, "security": "none", "is_guarded": False, **fields}
    return EmailProvider.objects.create(organization=organization, **given)


def parts_of(kept):
    """Return a kept mail, its text and its HTML, after holding its form against what every mail of ours has."""
    mail = message_from_bytes(kept.content, policy=policy.default)
    assert not mail.defects
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    names = ["From", "To", "Subject", "Date", "Message-ID", "Content-Type", "MIME-Version"]
    assert sorted(mail.keys()) == sorted(names)
    assert abs((timezone.now() - parsedate_to_datetime(mail["Date"])).total_seconds()) < 60
    assert re.fullmatch(r"<[^<>\s@]+@[^<>\s@]+>", mail["Message-ID"])
    assert max(len(line) for line in kept.content.split(b"\r\n")) <= 998
    assert kept.content.count(b"\n") == kept.content.count(b"\r\n")
    return mail, mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()


def test_an_invitation_arrives(client, invite, provider, server):
    page = invite(email="Zoe.Muller@acme.test", name="Zoé <b>Müller</b>")
    assert "The invitation was mailed to" in page
    (kept,) = server.mails
    assert (kept.mail_from, kept.rcpt_to) == ("pitch@pitch.test", ["Zoe.Muller@acme.test"])
    mail, text, html = parts_of(kept)
    assert (mail["From"], mail["To"]) == ("pitch@pitch.test", "Zoe.Muller@acme.test")
    assert mail["Subject"] == "Acme invites you to Pitch"
    assert mail["Message-ID"].endswith("@pitch.test>")
    (path,) = re.findall(r"http://pitch\.test(/accounts/invitations/\S+)", text)
    assert html.count(f'href="http://pitch.test{path}"') == 1
    assert "Hello Zoé <b>Müller</b>," in text
    assert "Hello Zoé &lt;b&gt;Müller&lt;/b&gt;," in html
    client.logout()
    assert client.get(path).status_code == 200


def test_a_password_reset_arrives_through_the_worker(client, ask, alice, provider, server):
    provider.from_address, provider.from_name, provider.envelope_from = "post@acme.test", "Acme", "bounces@acme.test"
    provider.save()
    ask("alice@acme.test")
    (kept,) = server.mails
    assert (kept.mail_from, kept.rcpt_to) == ("bounces@acme.test", ["alice@acme.test"])
    mail, text, html = parts_of(kept)
    assert (mail["From"], mail["To"]) == ("Acme <post@acme.test>", "alice@acme.test")
    assert mail["Subject"] == "Choose a new password for Pitch"
    assert mail["Message-ID"].endswith("@acme.test>")
    (path,) = re.findall(r"http://pitch\.test(/accounts/password/reset/key/\S+)", text)
    assert html.count(f'href="http://pitch.test{path}"') == 2
    for part in (text, html):
        assert "Hi Alice," in part
        assert "This is about your account at Acme." in part
        assert "your password stays as it is" in part
    form = client.get(path, follow=True)
    new = "quite another phrase"
    client.post(form.redirect_chain[-1][0], {"password1": new, "password2": new})
    alice.refresh_from_db()
    assert alice.check_password(new)


def test_each_organizations_mail_goes_through_its_own_server(ask, acme, globex, provider, server):
    for organization in (acme, globex):
        User.objects.create_user("dana@both.test", PASSWORD, organization=organization, name="Dana")
    make_provider(globex, server, from_address="post@globex.test")
    ask("dana@both.test")
    first, second = (parts_of(kept) for kept in server.mails)
    assert [mail["From"] for mail, _text, _html in (first, second)] == ["pitch@pitch.test", "post@globex.test"]
    assert "account at Acme" in first[1]
    assert "account at Globex" in second[1]


def test_one_that_is_refused_does_not_hold_up_the_next(ask, acme, globex, provider, server):
    for organization in (acme, globex):
        User.objects.create_user("dana@both.test", PASSWORD, organization=organization, name="Dana")
    provider.host = "127.0.0.2"  # nobody answers there
    provider.save()
    make_provider(globex, server)
    ask("dana@both.test")
    assert len(server.mails) == 1
    assert "account at Globex" in parts_of(server.mails[0])[1]


def test_an_operators_reset_goes_through_the_shared_server(ask, root, server):
    make_provider(None, server)
    ask("root@pitch.test")
    assert server.mails[0].rcpt_to == ["root@pitch.test"]
    assert "your account at" not in parts_of(server.mails[0])[1]


def test_a_refused_invitation_leaves_the_link_at_the_desk(invite, provider, server, client):
    server.answers["zoe@acme.test"] = "550 5.1.1 no such person"
    page = invite(email="zoe@acme.test")
    assert "no such person" in page
    path = re.search(r"http://pitch\.test(/accounts/invitations/[\w-]+)", page)[1]
    client.logout()
    assert client.get(path).status_code == 200


@pytest.mark.abuse("A5")
@pytest.mark.parametrize("trick", ["Acme\r\nBcc: evil@many.example", "=?UTF-8?Q?Acme=0ABcc:_evil@many.example?="])
def test_a_name_never_becomes_a_header(invite, provider, server, acme, trick):
    acme.name = trick
    acme.save()
    page = invite(email="zoe@acme.test", name=trick)
    assert server.mails == []
    assert "Hand over this link yourself" in page
    assert "Subject h" in page  # holds a line break, or hides one


def test_a_name_with_other_letters_is_encoded(invite, provider, server, acme):
    provider.from_address, provider.from_name = "post@acme.test", "Zoë, “Acme” <x@y.example>"
    provider.save()
    acme.name = "Åcme & Söhne"
    acme.save()
    invite(email="zoe@acme.test")
    mail, text, html = parts_of(server.mails[0])
    assert mail["Subject"] == "Åcme & Söhne invites you to Pitch"
    assert [(a.display_name, a.addr_spec) for a in mail["From"].addresses] == [
        ("Zoë, “Acme” <x@y.example>", "post@acme.test")
    ]
    assert server.mails[0].content.partition(b"\r\n\r\n")[0].isascii()
    assert "Åcme & Söhne invites you" in text
    assert "Åcme &amp; Söhne invites you" in html
