"""Invitations: sent by administrators, accepted once."""

import re
import threading

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.signals import post_save, pre_save
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, Invitation, User

PHRASE = "a good long phrase"
ADD = "/admin/accounts/invitation/add/"
LIST = "/admin/accounts/invitation/"


def link_in(sent):
    """Return the path of the link in a mail."""
    return re.search(r"http://pitch\.test(/accounts/invitations/\S+)", sent.body)[1]


def send_again(client, *rows):
    """Choose invitations in the list and send them again; returns the page that follows."""
    chosen = {"action": "send_again", "_selected_action": [row.pk for row in rows]}
    return client.post(LIST, chosen, follow=True).content.decode()


@pytest.fixture
def invited(signed_in, ada, django_capture_on_commit_callbacks):
    """ada invites zoe from the desk; returns the link of the mail."""
    client = signed_in(ada)
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(
            ADD, {"organization": ada.organization.pk, "email": "Zoe@acme.test", "name": "Zoe", "role": "editor"}
        )
        assert answer.status_code == 302, answer.context["errors"]
        assert mail.outbox == []  # nothing is sent while the transaction is open
    client.logout()
    assert mail.outbox[-1].to == ["Zoe@acme.test"]
    return link_in(mail.outbox[-1])


@pytest.mark.req("R370")
def test_an_invited_person_joins_once(client, invited, acme):
    assert client.get(invited).status_code == 200
    assert not User.objects.filter(email_key="zoe@acme.test").exists()  # GET changed nothing
    answer = client.post(invited, {"name": "Zoe Marchetti", "password": PHRASE})
    assert answer.status_code == 302
    assert client.get("/accounts/whoami").json() == {"email": "Zoe@acme.test", "organization": "acme"}
    zoe = User.objects.get(email_key="zoe@acme.test")
    assert (zoe.role, zoe.name, zoe.organization) == ("editor", "Zoe Marchetti", acme)
    client.logout()
    assert client.get(invited).status_code == 404
    assert client.post(invited, {"name": "X", "password": PHRASE}).status_code == 404
    assert AuditEntry.objects.filter(action="invitation accepted", target="Zoe@acme.test").exists()


def test_a_weak_password_is_refused_in_words(client, invited):
    answer = client.post(invited, {"name": "Zoe", "password": "short"})
    assert answer.status_code == 200
    assert "10 characters" in answer.content.decode()
    assert not User.objects.filter(email_key="zoe@acme.test").exists()


def test_it_runs_out_after_a_week(client, invited):
    with time_machine.travel(Invitation.objects.get().expires_at, tick=False):
        assert client.get(invited).status_code == 404


def test_a_changed_token_is_nothing(client, invited):
    assert client.get(invited[:-1] + ("A" if invited[-1] != "A" else "B")).status_code == 404


def test_a_withdrawn_one_is_nothing(client, signed_in, ada, invited):
    client = signed_in(ada)
    action = {"action": "revoke", "_selected_action": [Invitation.objects.get().pk]}
    client.post(LIST, action)
    client.logout()
    assert client.get(invited).status_code == 404


def test_a_second_invitation_replaces_the_first(client, invited, ada, signed_in):
    signed_in(ada).post(
        ADD,
        {"organization": ada.organization.pk, "email": "zoe@acme.test", "role": "member"},
    )
    client.logout()
    assert Invitation.objects.open().count() == 1
    assert client.get(invited).status_code == 404


def test_an_administrator_cannot_invite_into_another_organization(signed_in, ada, globex):
    answer = signed_in(ada).post(
        ADD,
        {"organization": globex.pk, "email": "spy@acme.test", "role": "administrator"},
    )
    assert answer.status_code == 200
    assert not Invitation.objects.exists()


def test_who_has_an_account_is_not_invited(signed_in, ada, bob):
    answer = signed_in(ada).post(
        ADD,
        {"organization": ada.organization.pk, "email": "bob@acme.test", "role": "member"},
    )
    assert "has an account" in answer.content.decode()
    assert not Invitation.objects.exists()


def test_the_command_prints_the_link(acme, capsys, client):
    call_command("invite_user", organization="acme", email="kim@acme.test", role="administrator")
    path = re.search(r"http://pitch\.test(/\S+)", capsys.readouterr().out)[1]
    client.post(path, {"name": "Kim", "password": PHRASE})
    assert User.objects.get(email_key="kim@acme.test").is_administrator


class TestSendAgain:
    def test_a_fresh_link_goes_out_and_the_old_one_ends(self, signed_in, ada, invited, client):
        old = Invitation.objects.get()
        page = send_again(signed_in(ada), old)
        assert "The invitation was mailed to Zoe@acme.test." in page
        assert [sent.to for sent in mail.outbox] == [["Zoe@acme.test"]] * 2
        fresh = link_in(mail.outbox[-1])
        client.logout()
        assert client.get(invited).status_code == 404
        assert client.post(fresh, {"name": "Zoe", "password": PHRASE}).status_code == 302
        zoe = User.objects.get(email_key="zoe@acme.test")
        assert (zoe.role, zoe.organization) == ("editor", ada.organization)
        entries = AuditEntry.objects.filter(
            action="user invited", target="Zoe@acme.test", organization=ada.organization
        )
        assert [entry.actor for entry in entries] == [ada, ada]

    def test_who_has_joined_gets_no_mail(self, signed_in, ada, invited, client):
        withdrawn = Invitation.objects.create(
            organization=ada.organization, email="zoe@acme.test", expires_at=timezone.now(), revoked_at=timezone.now()
        )
        client.post(invited, {"name": "Zoe", "password": PHRASE})
        mail.outbox.clear()
        client = signed_in(ada)
        for rows in (Invitation.objects.all(), [withdrawn]):
            assert "has an account in this organization already" in send_again(client, *rows)
        assert mail.outbox == []
        assert Invitation.objects.count() == 2

    def test_one_address_gets_one_mail_however_many_rows_are_chosen(self, signed_in, ada, invited):
        client = signed_in(ada)
        send_again(client, Invitation.objects.get())
        mail.outbox.clear()
        send_again(client, *Invitation.objects.all())
        assert len(mail.outbox) == 1
        assert Invitation.objects.open().count() == 1

    def test_an_administrator_cannot_send_for_another_organization(self, signed_in, ada, globex):
        other = Invitation.objects.create(organization=globex, email="x@globex.test", expires_at=timezone.now())
        send_again(signed_in(ada), other)
        assert mail.outbox == []
        assert Invitation.objects.count() == 1


@pytest.fixture
def rival(ada):
    """Somebody whose invitation of the same address is always there a moment before ours."""

    def overtake(sender, instance, **kwargs):
        row = Invitation(organization=instance.organization, email=instance.email, expires_at=instance.expires_at)
        row.email_key = instance.email.casefold()
        Invitation.objects.bulk_create([row])  # sends no signal

    pre_save.connect(overtake, sender=Invitation)
    yield
    pre_save.disconnect(overtake, sender=Invitation)


def test_who_comes_second_in_a_race_is_told(signed_in, ada, rival, django_capture_on_commit_callbacks):
    form = {"organization": ada.organization.pk, "email": "zoe@acme.test", "role": "member"}
    with django_capture_on_commit_callbacks(execute=True):
        page = signed_in(ada).post(ADD, form, follow=True).content.decode()
    assert "Somebody else has just invited zoe@acme.test." in page
    assert mail.outbox == []


def test_so_is_who_sends_again(signed_in, ada, invited, rival):
    mail.outbox.clear()
    assert "Somebody else has just invited Zoe@acme.test." in send_again(signed_in(ada), Invitation.objects.get())
    assert mail.outbox == []


def test_so_is_the_command(acme, ada, rival):
    with pytest.raises(CommandError, match="Somebody else has just invited"):
        call_command("invite_user", organization="acme", email="kim@acme.test")


@pytest.mark.django_db(transaction=True)
def test_two_invitations_at_once_leave_one_that_works(signed_in, ada, root):
    form = {"organization": ada.organization.pk, "email": "zoe@acme.test", "role": "member"}
    other = Client()
    other.force_login(root, backend=django_settings.AUTHENTICATION_BACKENDS[0])
    answers = []

    def invite_too():
        try:
            answers.append(other.post(ADD, form))
        finally:
            connection.close()

    thread = threading.Thread(target=invite_too)

    def begin(sender, instance, **kwargs):
        """When the first row is written and not yet committed, the other request comes."""
        if not thread.ident:
            thread.start()
            thread.join(0.5)

    post_save.connect(begin, sender=Invitation)
    try:
        assert signed_in(ada).post(ADD, form).status_code == 302
    finally:
        post_save.disconnect(begin, sender=Invitation)
    thread.join(30)
    assert answers[0].status_code == 302
    assert Invitation.objects.open().count() == 1
