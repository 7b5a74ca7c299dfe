"""Invitations: sent by administrators, accepted once."""

import re

import pytest
import time_machine
from django.core import mail
from django.core.management import call_command
from django.urls import reverse

from accounts.models import AuditEntry, Invitation, User

PHRASE = "a good long phrase"


@pytest.fixture
def invited(signed_in, ada):
    """ada invites zoe from the desk; returns the link of the mail."""
    client = signed_in(ada)
    answer = client.post(
        reverse("admin:accounts_invitation_add"),
        {"organization": ada.organization.pk, "email": "Zoe@acme.test", "name": "Zoe", "role": "editor"},
    )
    assert answer.status_code == 302, answer.context["errors"]
    client.logout()
    assert mail.outbox[-1].to == ["Zoe@acme.test"]
    return re.search(r"http://pitch\.test(/accounts/invitations/\S+)", mail.outbox[-1].body)[1]


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
    client.post(reverse("admin:accounts_invitation_changelist"), action)
    client.logout()
    assert client.get(invited).status_code == 404


def test_a_second_invitation_replaces_the_first(client, invited, ada, signed_in):
    signed_in(ada).post(
        reverse("admin:accounts_invitation_add"),
        {"organization": ada.organization.pk, "email": "zoe@acme.test", "role": "member"},
    )
    client.logout()
    assert Invitation.objects.open().count() == 1
    assert client.get(invited).status_code == 404


def test_an_administrator_cannot_invite_into_another_organization(signed_in, ada, globex):
    answer = signed_in(ada).post(
        reverse("admin:accounts_invitation_add"),
        {"organization": globex.pk, "email": "spy@acme.test", "role": "administrator"},
    )
    assert answer.status_code == 200
    assert not Invitation.objects.exists()


def test_who_has_an_account_is_not_invited(signed_in, ada, bob):
    answer = signed_in(ada).post(
        reverse("admin:accounts_invitation_add"),
        {"organization": ada.organization.pk, "email": "bob@acme.test", "role": "member"},
    )
    assert "has an account" in answer.content.decode()
    assert not Invitation.objects.exists()


def test_the_command_prints_the_link(acme, capsys, client):
    call_command("invite_user", organization="acme", email="kim@acme.test", role="administrator")
    path = re.search(r"http://pitch\.test(/\S+)", capsys.readouterr().out)[1]
    client.post(path, {"name": "Kim", "password": PHRASE})
    assert User.objects.get(email_key="kim@acme.test").is_administrator
