"""Signing in, out, and being locked out."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.models import User
from pitch.schedules import SCHEDULES
from tests.conftest import PASSWORD

LOGIN = "/accounts/login/"


def sign_in(client, email, password=PASSWORD, **more):
    return client.post(LOGIN, {"login": email, "password": password, **more})


def whoami(client):
    answer = client.get("/accounts/whoami")
    return answer.json() if answer.status_code == 200 else answer.status_code


def test_the_form_has_the_names_of_the_contract(client, db):
    page = client.get(LOGIN).content.decode()
    for label in ("Email", "Password"):
        assert re.search(rf"<label[^>]*>\s*{label}\s*</label>", page), label
    assert re.search(r"<button[^>]*>\s*Sign in\s*</button>", page)


def test_right_password_signs_in_and_whoami_says_who(client, alice):
    assert whoami(client) == 401
    assert sign_in(client, "ALICE@acme.test").status_code == 302
    assert whoami(client) == {"email": "alice@acme.test", "organization": "acme"}
    client.post("/accounts/logout/")
    assert whoami(client) == 401


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("alice@acme.test", "wrong password"),
        ("nobody@acme.test", PASSWORD),
        ("no address", PASSWORD),
        ("alice@acme.test", ""),
    ],
)
def test_wrong_credentials_get_the_same_words(client, alice, email, password):
    answer = sign_in(client, email, password)
    assert answer.status_code == 200
    assert whoami(client) == 401
    assert "Acme" not in answer.content.decode()


def test_the_same_address_in_two_organizations_is_two_users(client, acme, globex):
    one = User.objects.create_user("dana@both.test", PASSWORD, organization=acme, name="Dana")
    other = User.objects.create_user("dana@both.test", "another pass phrase", organization=globex, name="Dana")
    assert one.pk != other.pk
    sign_in(client, "dana@both.test", "another pass phrase")
    assert whoami(client)["organization"] == "globex"


def test_one_password_in_two_organizations_asks_which(client, acme, globex):
    for organization in (acme, globex):
        User.objects.create_user("dana@both.test", PASSWORD, organization=organization, name="Dana")
    refused = sign_in(client, "dana@both.test", "wrong password").content.decode()
    assert "Globex" not in refused  # organizations are named only after a right password
    asked = sign_in(client, "dana@both.test").content.decode()
    assert "Acme" in asked
    assert "Globex" in asked
    assert whoami(client) == 401
    sign_in(client, "dana@both.test", organization="globex")
    assert whoami(client)["organization"] == "globex"


def test_an_operator_with_the_same_password_can_choose_too(client, acme):
    User.objects.create_user("dana@both.test", PASSWORD, organization=acme, name="Dana")
    User.objects.create_superuser("dana@both.test", PASSWORD, name="Dana")
    sign_in(client, "dana@both.test", organization="-")
    assert whoami(client) == {"email": "dana@both.test", "organization": None}
    client.logout()
    sign_in(client, "dana@both.test", organization="acme")
    assert whoami(client)["organization"] == "acme"


@pytest.mark.req("R396")
def test_the_host_names_the_organization(client, settings, alice, charlie):
    settings.PITCH_BASE_DOMAIN = "pitch.test"
    host = {"headers": {"host": "globex.pitch.test"}}
    client.post(LOGIN, {"login": "alice@acme.test", "password": PASSWORD}, **host)
    assert client.get("/accounts/whoami", **host).status_code == 401
    client.post(LOGIN, {"login": "charlie@globex.test", "password": PASSWORD}, **host)
    assert client.get("/accounts/whoami", **host).json()["organization"] == "globex"
    elsewhere = {"headers": {"host": "acme.pitch.test"}}
    answer = client.get("/accounts/whoami", **elsewhere)
    assert (answer.status_code, answer.json()) == (401, {"error": "nobody is signed in"})
    assert client.get("/", **elsewhere).status_code == 404
    assert client.get("/accounts/whoami", **host).json()["organization"] == "globex"  # and the session goes on
    assert client.get(LOGIN, headers={"host": "nobody.pitch.test"}).status_code == 404


@pytest.mark.abuse("A37")
def test_a_foreign_host_is_refused(client, alice):
    assert client.get(LOGIN, headers={"host": "evil.example"}).status_code == 400


def test_a_deactivated_user_is_out_at_once(client, alice):
    sign_in(client, "alice@acme.test")
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert whoami(client) == 401
    assert sign_in(client, "alice@acme.test").status_code == 200
    assert whoami(client) == 401


def test_a_switched_off_organization_is_out_at_once(client, alice, acme):
    sign_in(client, "alice@acme.test")
    acme.is_active = False
    acme.save()
    assert whoami(client) == 401
    sign_in(client, "alice@acme.test")
    assert whoami(client) == 401


def test_too_many_wrong_passwords_lock_the_address_for_a_while(client, alice):
    for _attempt in range(6):
        sign_in(client, "alice@acme.test", "wrong password")
    sign_in(client, "alice@acme.test")
    assert whoami(client) == 401


def test_who_is_locked_out_does_not_learn_that_a_password_was_right(client, acme, globex):
    for organization in (acme, globex):
        User.objects.create_user("dana@both.test", PASSWORD, organization=organization, name="Dana")
    for _attempt in range(6):
        sign_in(client, "dana@both.test", "wrong password")
    assert "Globex" not in sign_in(client, "dana@both.test").content.decode()


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https:evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "%2F%2Fevil.example",
        "///evil.example",
    ],
)
@pytest.mark.abuse("A2")
def test_next_leads_nowhere_else(client, alice, target):
    answer = sign_in(client, "alice@acme.test", next=target)
    assert answer.status_code == 302
    # A relative path (no scheme, one slash at most) cannot leave this host, whatever it is called.
    assert not answer["Location"].startswith(("//", "/\\", "http"))
    assert not urlsplit(answer["Location"]).netloc


def test_next_leads_back_inside(client, alice):
    assert sign_in(client, "alice@acme.test", next="/messages/")["Location"] == "/messages/"


@pytest.mark.req("R370")
def test_nobody_signs_up_by_himself(client, db):
    answer = client.get("/accounts/signup/")
    assert b"<form" not in answer.content or b"password1" not in answer.content
    client.post("/accounts/signup/", {"email": "new@acme.test", "password1": PASSWORD, "password2": PASSWORD})
    assert not User.objects.exists()


class TestPasswordReset:
    @pytest.fixture(autouse=True)
    def _queue(self, monkeypatch, django_capture_on_commit_callbacks):
        """Keep what is left for the worker."""
        self.left, self.committed = [], django_capture_on_commit_callbacks
        monkeypatch.setattr("pitch.lib.queue.async_task", lambda task, *ids, **options: self.left.append((task, *ids)))

    def ask(self, client, email):
        """Ask for a link, then let the worker work."""
        with self.committed(execute=True):
            answer = client.post(reverse("account_reset_password"), {"email": email})
        assert answer.status_code == 302
        assert mail.outbox == []  # the request itself sends nothing
        self.work()
        return answer["Location"]

    def work(self):
        """Do what was left for the worker."""
        while self.left:
            task, *ids = self.left.pop(0)
            import_string(task)(*ids)

    def test_each_account_gets_its_own_link_that_works_once(self, client, acme, globex):
        for organization in (acme, globex):
            User.objects.create_user("dana@both.test", PASSWORD, organization=organization, name="Dana")
        self.ask(client, "dana@both.test")
        assert len(mail.outbox) == 2
        links = [re.search(r"http://pitch\.test(/accounts/password/reset/key/\S+)", m.body)[1] for m in mail.outbox]
        assert len(set(links)) == 2
        form = client.get(links[0], follow=True)
        answer = client.post(
            form.redirect_chain[-1][0], {"password1": "a fresh pass phrase", "password2": "a fresh pass phrase"}
        )
        assert answer.status_code == 302
        client.logout()
        sign_in(client, "dana@both.test", "a fresh pass phrase")
        assert whoami(client) != 401
        client.logout()
        assert "password1" not in client.get(links[0], follow=True).content.decode()

    def test_an_unknown_address_gets_the_same_answer_and_no_mail(self, client, alice):
        known = self.ask(client, "alice@acme.test")
        assert [sent.to for sent in mail.outbox] == [["alice@acme.test"]]
        mail.outbox.clear()
        assert self.ask(client, "nobody@acme.test") == known
        assert mail.outbox == []

    def test_the_request_does_the_same_for_every_address(self, client, acme, globex):
        """Else the time it takes would tell who has an account."""
        for organization in (acme, globex):
            User.objects.create_user("dana@both.test", PASSWORD, organization=organization, name="Dana")
        done = []
        for email in ("dana@both.test", "nobody@both.test"):
            with CaptureQueriesContext(connection) as queries, self.committed(execute=True):
                client.post(reverse("account_reset_password"), {"email": email})
            done.append([re.sub(r"'[^']*'|\d+", "…", query["sql"]) for query in queries])
        assert done[0] == done[1]
        assert any("INSERT INTO" in sql for sql in done[0])
        assert not [sql for sql in done[0] if "accounts_user" in sql], "it does not even look"
        assert self.left == [("accounts.tasks.mail_password_resets",)] * 2

    def test_a_lost_wake_up_is_made_good(self, client, alice):
        client.post(reverse("account_reset_password"), {"email": "alice@acme.test"})
        clock = [import_string(schedule.call) for schedule in SCHEDULES if "password" in schedule.name]
        for seconds, woken in ((5, 0), (60, 1), (60, 2)):
            with time_machine.travel(timezone.now() + timedelta(seconds=seconds)), self.committed(execute=True):
                for call in clock:
                    call()
            assert len(self.left) == woken
        self.work()
        assert [sent.to for sent in mail.outbox] == [["alice@acme.test"]], "two wake-ups send nothing twice"

    def test_the_link_goes_to_the_address_of_the_account(self, client, alice):
        self.ask(client, "ALICE@acme.test")
        assert mail.outbox[0].to == ["alice@acme.test"]

    def test_who_was_deactivated_meanwhile_gets_no_link(self, client, alice):
        with self.committed(execute=True):
            client.post(reverse("account_reset_password"), {"email": "alice@acme.test"})
        User.objects.filter(pk=alice.pk).update(is_active=False)
        self.work()
        assert mail.outbox == []

    def test_a_mail_server_that_refuses_tells_nothing(self, client, alice, settings):
        settings.EMAIL_BACKEND = "messaging.system_mail.ProviderEmailBackend"  # and no server is set up
        assert self.ask(client, "alice@acme.test") == self.ask(client, "nobody@acme.test")

    def test_allauths_own_table_of_addresses_stays_empty(self, client, alice):
        self.ask(client, "alice@acme.test")
        link = re.search(r"http://pitch\.test(/accounts/password/reset/key/\S+)", mail.outbox[0].body)[1]
        form = client.get(link, follow=True).redirect_chain[-1][0]
        client.post(form, {"password1": "a fresh pass phrase", "password2": "a fresh pass phrase"})
        sign_in(client, "alice@acme.test", "a fresh pass phrase")
        assert whoami(client)["email"] == "alice@acme.test"
        assert not EmailAddress.objects.exists()

    def test_a_new_password_ends_the_lock(self, client, alice):
        for _attempt in range(6):
            sign_in(client, "alice@acme.test", "wrong password")
        self.ask(client, "alice@acme.test")
        link = re.search(r"http://pitch\.test(/accounts/password/reset/key/\S+)", mail.outbox[0].body)[1]
        form = client.get(link, follow=True).redirect_chain[-1][0]
        client.post(form, {"password1": "a fresh pass phrase", "password2": "a fresh pass phrase"})
        client.logout()
        sign_in(client, "Alice@acme.test", "a fresh pass phrase")
        assert whoami(client)["email"] == "alice@acme.test"

    def test_a_link_dies_with_the_address_it_was_sent_to(self, client, alice):
        self.ask(client, "alice@acme.test")
        link = re.search(r"http://pitch\.test(/accounts/password/reset/key/\S+)", mail.outbox[0].body)[1]
        alice.email = "new@acme.test"
        alice.save()
        assert "password1" not in client.get(link, follow=True).content.decode()

    def test_the_mail_names_organization_and_site(self, client, alice):
        self.ask(client, "alice@acme.test")
        assert "your account at Acme" in mail.outbox[0].body
        assert "Pitch at pitch.test" in mail.outbox[0].body

    def test_a_switched_off_organization_gets_no_link(self, client, alice, acme):
        acme.is_active = False
        acme.save()
        self.ask(client, "alice@acme.test")
        assert mail.outbox == []


def test_password_change(client, alice):
    sign_in(client, "alice@acme.test")
    new = "quite another phrase"
    answer = client.post(
        reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    assert answer.status_code == 302
    client.logout()
    sign_in(client, "alice@acme.test", new)
    assert whoami(client)["email"] == "alice@acme.test"


def test_an_operator_is_shown_the_way_to_the_desk(client, root):
    sign_in(client, "root@pitch.test")
    assert whoami(client) == {"email": "root@pitch.test", "organization": None}
    page = client.get("/")
    assert page.status_code == 404
    assert reverse("admin:index") in page.content.decode()
    assert client.get(reverse("admin:index")).status_code == 200
