"""The desk: who sees what, secrets that never come out, lists that open fast, a test that shows the dialogue."""

import re

import pytest
import time_machine
import trustme
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, VerifiedDomain
from messaging.models import (
    Delivery,
    DeliveryEvent,
    EmailProvider,
    Message,
    ProviderLimit,
    Suppression,
    Unsubscribe,
    Visit,
)
from messaging.services import dashboard
from messaging.services import providers as provider_service
from tests.messaging.landing_world import make_delivery, make_message, make_video

MODELS = [Message, Delivery, EmailProvider, Suppression, Unsubscribe, DeliveryEvent, Visit]
CANARY = "canary-5e1b6c"
SPEED = {"max_connections": 4, "limits-TOTAL_FORMS": 0, "limits-INITIAL_FORMS": 0}
MODE = {"sender_mode": "send-as", **SPEED}  # what the form has ticked when it is opened


def address(model, page, *args):
    return reverse(f"admin:messaging_{model._meta.model_name}_{page}", args=args)


def make_provider(organization, **fields):
    given = {"name": "relay", "host": "smtp.relay.example", "user": "pitch", "password": f"{CANARY}-password"} | fields
    return EmailProvider.objects.create(organization=organization, **given)


def make_rows(user):
    """Make one row of each kind."""
    delivery = make_delivery(make_message(user, make_video(user), msg_params={"secret": f"{CANARY}-params"}))
    organization = user.organization
    visit = Visit.objects.create(organization=organization, delivery=delivery, reason="no_gesture")
    event = DeliveryEvent.objects.create(
        organization=organization,
        delivery=delivery,
        kind="visit",
        reason="x",
        fingerprint=delivery.code,
        occurred_at=timezone.now(),
    )
    return {
        Message: delivery.message,
        Delivery: delivery,
        EmailProvider: make_provider(organization),
        Suppression: Suppression.objects.create(
            organization=organization, address_key=f"gone@{organization.slug}.example", reason="bounce"
        ),
        Unsubscribe: Unsubscribe.objects.create(
            organization=organization, address_key=f"no@{organization.slug}.example"
        ),
        DeliveryEvent: event,
        Visit: visit,
    }


@pytest.mark.parametrize("model", MODELS)
def test_administrators_see_their_own_rows_and_no_others(signed_in, ada, alice, charlie, model):
    own, other = make_rows(alice)[model], make_rows(charlie)[model]
    client = signed_in(ada)
    html = client.get(address(model, "changelist")).content.decode()
    assert f"/{own.pk}/change/" in html
    assert f"/{other.pk}/change/" not in html
    assert client.get(address(model, "change", own.pk)).status_code == 200
    assert client.get(address(model, "change", other.pk)).status_code in (302, 404)
    if model is not EmailProvider:
        assert client.get(address(model, "delete", own.pk)).status_code == 403
        assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(model, "change", other.pk), {"host": "evil.example"}).status_code in (302, 404, 403)


@pytest.mark.parametrize("who", ["alice", "erin"])
def test_nobody_else_comes_in(signed_in, request, who):
    client = signed_in(request.getfixturevalue(who))
    for model in MODELS:
        assert client.get(address(model, "changelist")).status_code == 302


def test_operators_see_everything(signed_in, root, alice, charlie):
    rows = [make_rows(alice), make_rows(charlie)]
    client = signed_in(root)
    for model in MODELS:
        html = client.get(address(model, "changelist")).content.decode()
        assert all(f"/{made[model].pk}/change/" in html for made in rows)


@pytest.mark.abuse("A34")
@pytest.mark.parametrize("who", ["root", "ada"])
def test_no_secret_stands_on_any_page_of_the_admin(signed_in, request, who, acme, alice):
    acme.admin_secrets, acme.user_secrets = [f"{CANARY}-admin"], [f"{CANARY}-user"]
    acme.save()
    made = make_rows(alice)
    client = signed_in(request.getfixturevalue(who))
    provider = made[EmailProvider]
    form = {
        "organization": acme.pk,
        "host": "smtp.relay.example",
        "port": 587,
        "security": "starttls",
        "user": "pitch",
        **MODE,
    }
    client.post(address(EmailProvider, "change", provider.pk), form | {"password": f"{CANARY}-typed", "name": "relay"})
    provider.refresh_from_db()
    assert provider.password == f"{CANARY}-typed", "the form must have saved it, else this test looks for nothing"
    pages = [reverse("admin:index")]
    for model, model_admin in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages.append(reverse(f"{name}_changelist"))
        pages.append(reverse(f"{name}_add"))
        for row in model_admin.model._default_manager.all()[:3]:
            pages += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]
    seen = 0
    for page in pages:
        answer = client.get(page)
        seen += answer.status_code == 200
        assert CANARY not in answer.content.decode(), page
    assert seen > 15
    assert CANARY not in repr(provider)


def test_an_empty_password_stays_as_it_is_but_never_goes_to_another_server(signed_in, ada, acme):
    provider = make_provider(acme)
    client = signed_in(ada)
    form = {
        "organization": acme.pk,
        "name": "Ours",
        "host": provider.host,
        "port": 587,
        "security": "starttls",
        "user": "pitch",
        **MODE,
    }
    page = client.get(address(EmailProvider, "change", provider.pk)).content.decode()
    assert "Set. Type to change it" in page
    assert client.post(address(EmailProvider, "change", provider.pk), form).status_code == 302
    provider.refresh_from_db()
    assert (provider.name, provider.password) == ("Ours", f"{CANARY}-password")
    answer = client.post(address(EmailProvider, "change", provider.pk), form | {"host": "smtp.evil.example"})
    assert "type the password again" in answer.content.decode()
    provider.refresh_from_db()
    assert provider.host == "smtp.relay.example"


@pytest.mark.req("R364", "R365", "R366", "R367", "R368")
def test_account_setup_takes_all_that_a_mail_server_needs(signed_in, ada, acme):
    form = {
        "organization": acme.pk,
        "host": "smtp.relay.example",
        "port": 465,
        "security": "ssl",
        "user": "pitch",
        "password": "secret of the server",
        "from_address": "videos@acme.test",
        "from_name": "Acme",
        "reply_to_address": "team@acme.test",
        "ca_bundle": trustme.CA().cert_pem.bytes().decode().strip(),
        "sender_mode": "on-behalf",
    }
    assert signed_in(ada).post(address(EmailProvider, "add"), form | SPEED).status_code == 302
    saved = EmailProvider.objects.get()
    assert {name: getattr(saved, name) for name in form if name != "organization"} == {
        name: value for name, value in form.items() if name != "organization"
    }
    assert saved.organization == acme


def test_an_administrator_makes_settings_for_the_own_organization_only(signed_in, ada, acme, globex):
    client = signed_in(ada)
    form = {
        "name": "Ours",
        "host": "smtp.relay.example",
        "port": 465,
        "security": "ssl",
        "user": "u",
        "password": "p",
    } | MODE
    for wrong in ({"organization": globex.pk}, {"organization": ""}):
        assert client.post(address(EmailProvider, "add"), form | wrong).status_code == 200
    assert not EmailProvider.objects.exists()
    assert client.post(address(EmailProvider, "add"), form | {"organization": acme.pk}).status_code == 302
    assert EmailProvider.objects.get().is_guarded, "an administrator's server is held inside what the operator allows"


def with_limits(*rows):
    """Return the part of the form that holds the limits: (id or "", mails, seconds, delete?) each."""
    form = {
        "limits-TOTAL_FORMS": len(rows),
        "limits-INITIAL_FORMS": sum(bool(pk) for pk, *_rest in rows),
        "max_connections": 2,
    }
    for number, (pk, amount, seconds, *delete) in enumerate(rows):
        values = {"id": pk, "amount": amount, "seconds": seconds} | ({"DELETE": "on"} if delete else {})
        form |= {f"limits-{number}-{name}": value for name, value in values.items()}
    return form


def test_limits_and_connections_are_set_beside_the_server(signed_in, ada, acme):
    provider = make_provider(acme, throttled_until=timezone.now() + timezone.timedelta(hours=1))
    path, client = address(EmailProvider, "change", provider.pk), signed_in(ada)
    form = {
        "organization": acme.pk,
        "name": "x",
        "host": provider.host,
        "port": 587,
        "security": "starttls",
        "user": "pitch",
        **MODE,
    }

    def limits():
        return dict(provider.limits.values_list("seconds", "amount"))

    assert client.post(path, form | with_limits(("", 30, 60), ("", 9000, 86400))).status_code == 302
    assert limits() == {60: 30, 86400: 9000}
    provider.refresh_from_db()
    assert (provider.max_connections, provider.throttled_until) == (2, None)
    entry = AuditEntry.objects.get(action="email provider limits changed")
    assert (entry.actor, entry.details) == (ada, {"limits": "30/60s, 9000/86400s"})
    minute, day = provider.limits.order_by("seconds")
    ProviderLimit.objects.filter(pk=minute.pk).update(spent={"7": 3})
    assert client.post(path, form | with_limits((minute.pk, 40, 60), (day.pk, 9000, 86400, "x"))).status_code == 302
    assert limits() == {60: 40}
    assert provider.limits.get().spent == {"7": 3}, "what was sent lately still counts"
    for wrong in ([("", 0, 3600)], [("", 1, 3600), ("", 2, 3600)], [("", 1, 7)]):
        answer = client.post(path, form | with_limits((minute.pk, 40, 60), *wrong))
        assert answer.status_code == 200
        assert "errorlist" in answer.content.decode()
    assert limits() == {60: 40}
    client.post(path, form | with_limits((minute.pk, 40, 60)))
    assert AuditEntry.objects.filter(action="email provider limits changed").count() == 2


def test_nobody_sets_limits_of_another_organizations_server(signed_in, ada, globex):
    provider = make_provider(globex)
    limit = ProviderLimit.objects.create(provider=provider, amount=5, seconds=60)
    form = {"host": provider.host, "port": 587, "security": "starttls"} | with_limits((limit.pk, 9, 60))
    assert signed_in(ada).post(address(EmailProvider, "change", provider.pk), form).status_code == 302
    assert provider.limits.get().amount == 5


def test_mail_in_the_clear_is_refused(signed_in, ada, acme):
    form = {"organization": acme.pk, "host": "smtp.relay.example", "port": 25, "security": "none", **MODE}
    answer = signed_in(ada).post(address(EmailProvider, "add"), form)
    assert "SMTP_ALLOW_PLAINTEXT" in answer.content.decode()
    assert not EmailProvider.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"host": "smtp.relay.example:25"}, "is no host name"),
        ({"host": "mail..example.test"}, "is no host name"),
        ({"host": f"{64 * 'a'}.example"}, "is no host name"),
        ({"ca_bundle": "# Müller CA"}, "letters beyond ASCII"),
        ({"ca_bundle": "garbage"}, "It must be PEM text"),
        ({"port": 22}, "use one of 25, 465, 587, 2525"),
        ({"host": "10.0.0.7"}, "SMTP_ALLOWED_NETWORKS"),
        ({"ca_bundle": "-----BEGIN CERTIFICATE-----"}, "It must be PEM text"),
        ({"from_name": "=?UTF-8?Q?=0A?=Bcc: x@evil.example"}, "cannot stand in the header"),
        ({"sender_mode": "service"}, "needs the default sender address"),
        ({"sender_mode": "anybody"}, "is not one of the available choices"),
    ],
)
def test_settings_that_cannot_work_are_refused_where_they_are_typed(signed_in, ada, acme, wrong, words):
    form = {"organization": acme.pk, "host": "smtp.relay.example", "port": 587, "security": "starttls", **MODE}
    answer = signed_in(ada).post(address(EmailProvider, "add"), form | wrong)
    assert answer.status_code == 200
    (said,) = answer.context["adminform"].form.errors["__all__" if "needs" in words else next(iter(wrong))]
    assert words in said
    assert not EmailProvider.objects.exists()


def test_the_form_says_what_a_sender_mode_needs_and_which_domains_are_not_proven(
    signed_in, ada, alice, acme, globex, settings
):
    provider = make_provider(acme, from_address="pitch@relay.example", ca_bundle="")
    VerifiedDomain.objects.create(organization=globex, domain="acme.test")
    client = signed_in(ada)
    page = address(EmailProvider, "change", provider.pk)
    form = {
        "organization": acme.pk,
        "host": provider.host,
        "port": 587,
        "security": "starttls",
        "user": "pitch",
    } | SPEED
    doubt, dkim = "is not among the verified domains", "signs it (DKIM)"
    for mode, domain, signed in (
        ("send-as", "acme.test", False),
        ("on-behalf", "acme.test", True),
        ("service", "relay.example", False),
    ):
        answer = client.post(page, form | {"sender_mode": mode, "from_address": "pitch@relay.example"}, follow=True)
        for html in (answer.content.decode(), client.get(page).content.decode()):
            assert f"Mails come from {domain}, which {doubt}" in html, mode
            assert (dkim in html) is signed
    assert "relay permission" in html
    VerifiedDomain.objects.create(organization=acme, domain="example")
    assert doubt not in client.get(page).content.decode(), "a domain below a proven one is proven"
    VerifiedDomain.objects.filter(organization=acme).delete()
    EmailProvider.objects.update(host="127.0.0.1", port=settings.MAILBOX_PORT)
    assert doubt not in client.get(page).content.decode(), "no mail leaves the demo"


@pytest.mark.parametrize(
    ("change", "is_same_place"),
    [
        ({"reply_to_name": "Front desk"}, True),
        ({"user": "other", "password": "new"}, True),
        ({"port": 2527}, False),
        ({"host": "inside.relay.example"}, False),
        ({"security": "ssl"}, False),
    ],
)
def test_what_the_operator_vouched_for_stays_so_until_it_is_another_place(signed_in, ada, acme, change, is_same_place):
    where = {"host": "smtp.relay.example", "port": 2526, "security": "starttls"}
    provider = provider_service.save_smtp(acme, **where)
    form = where | {"organization": acme.pk, "name": "relay", "is_default": "on", "is_active": "on", **MODE}
    answer = signed_in(ada).post(address(EmailProvider, "change", provider.pk), form | change)
    provider.refresh_from_db()
    assert provider.is_guarded is False
    if is_same_place:
        assert answer.status_code == 302
        assert getattr(provider, next(iter(change))) == next(iter(change.values()))
    else:
        assert "is not allowed for mail here" in answer.content.decode()
        assert (provider.host, provider.port, provider.security) == tuple(where.values())


@time_machine.travel(timezone.now(), tick=False)  # all of it within one minute
def test_the_test_shows_the_dialogue_without_secrets_and_not_too_often(signed_in, ada, acme, monkeypatch):
    provider = make_provider(acme)
    said = provider_service.Dialogue(
        False, "The server does not take the password.", ["> AUTH PLAIN ****", "< 535 <b>no</b>"]
    )
    calls = []
    monkeypatch.setattr(provider_service, "test", lambda row, to: calls.append((row.pk, to)) or said)
    client = signed_in(ada)
    path = reverse("admin:messaging_emailprovider_test", args=[provider.pk])
    html = client.post(path, {"address": "ada@acme.test"}).content.decode()
    assert calls == [(provider.pk, "ada@acme.test")]
    assert "The server does not take the password." in html
    assert "535 &lt;b&gt;no&lt;/b&gt;" in html
    assert CANARY not in html
    for _time in range(6):
        html = client.post(path, {"address": "ada@acme.test"}).content.decode()
    assert len(calls) == 5
    assert "Five tests a minute are enough" in html
    assert client.get(path).status_code == 404


def test_a_stranger_cannot_test_our_server(signed_in, globex, acme):
    from tests.conftest import make_user

    provider = make_provider(acme)
    gina = make_user(globex, "gina", "administrator")
    path = reverse("admin:messaging_emailprovider_test", args=[provider.pk])
    assert signed_in(gina).post(path, {"address": "gina@globex.test"}).status_code == 404


@pytest.mark.parametrize("model", [Delivery, Message, Visit, DeliveryEvent])
@pytest.mark.parametrize("who", ["root", "ada"])
def test_a_list_never_counts_everything(signed_in, request, who, alice, model):
    rows = make_rows(alice)
    for number in range(5):
        make_delivery(rows[Message], name="N", address=f"n{number}@x.example")
    client = signed_in(request.getfixturevalue(who))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(address(model, "changelist")).status_code == 200
    ours = [query["sql"] for query in queries if f'FROM "{model._meta.db_table}"' in query["sql"]]
    counts = [sql for sql in ours if "COUNT(" in sql]
    assert all("LIMIT 10000" in sql for sql in counts), counts
    assert len(queries) < 16
    pages = [sql for sql in ours if "ORDER BY" in sql]
    assert pages
    assert all(re.search(r'ORDER BY "\w+"."id" DESC', sql) for sql in pages), pages


def test_actions_call_the_services(signed_in, ada, alice):
    rows = make_rows(alice)
    client = signed_in(ada)
    chosen = {"action": "withdraw", "_selected_action": [rows[Delivery].pk]}
    client.post(address(Delivery, "changelist"), chosen)
    assert Delivery.objects.get().link_revoked_at is not None
    client.post(address(Suppression, "changelist"), {"action": "lift", "_selected_action": [rows[Suppression].pk]})
    assert Suppression.objects.get().lifted_at is not None
    Message.objects.update(status="sending")
    Delivery.objects.update(state="queued")
    client.post(address(Message, "changelist"), {"action": "cancel", "_selected_action": [rows[Message].pk]})
    assert Delivery.objects.get().state == Delivery.State.CANCELED


@pytest.mark.parametrize("who", ["root", "ada"])
@pytest.mark.parametrize(
    ("model", "action", "entry", "target", "details"),
    [
        (Message, "cancel", "message canceled", "code", {"stopped": 1, "gone": 0}),
        (Delivery, "withdraw", "personal link withdrawn", "code", {}),
        (Suppression, "lift", "suppression lifted", "address_key", {"reason": "bounce"}),
    ],
)
def test_an_action_is_written_down_once(signed_in, request, alice, who, model, action, entry, target, details):
    row = make_rows(alice)[model]
    Message.objects.update(status="sending")
    Delivery.objects.update(state="queued")
    actor = request.getfixturevalue(who)
    client = signed_in(actor)
    for _again in range(2):  # the second time there is nothing left to do, so nothing to write down
        client.post(address(model, "changelist"), {"action": action, "_selected_action": [row.pk]})
    written = AuditEntry.objects.get()
    assert (written.action, written.target) == (entry, getattr(row, target))
    assert (written.actor, written.actor_label) == (actor, actor.email)
    assert (written.organization, written.details) == (alice.organization, details)


@pytest.mark.parametrize("at_once", [False, True])
def test_settings_made_and_deleted_are_written_down_the_shared_ones_too(signed_in, root, acme, at_once):
    client = signed_in(root)
    form = {"host": "smtp.relay.example", "port": 465, "security": "ssl", **MODE}
    for organization in (acme, None):
        given = form | ({"organization": organization.pk} if organization else {})
        assert client.post(address(EmailProvider, "add"), given).status_code == 302
    rows = list(EmailProvider.objects.values_list("pk", flat=True))
    if at_once:
        chosen = {"action": "delete_selected", "_selected_action": rows, "post": "yes"}
        client.post(address(EmailProvider, "changelist"), chosen)
    else:
        for row in rows:
            client.post(address(EmailProvider, "delete", row), {"post": "yes"})
    assert not EmailProvider.objects.exists()
    written = AuditEntry.objects.values_list("action", "target", "organization", "actor")
    assert sorted(written, key=str) == sorted(
        (
            (f"email provider {done}", "smtp.relay.example", organization, root.pk)
            for done in ("changed", "deleted")
            for organization in (acme.pk, None)
        ),
        key=str,
    )


def test_a_senders_own_cancel_is_no_matter_for_the_log(signed_in, alice):
    rows = make_rows(alice)
    Message.objects.update(status="sending")
    Delivery.objects.update(state="queued")
    signed_in(alice).post(reverse("messaging:message-cancel", args=[rows[Message].code]))
    assert Delivery.objects.get().state == Delivery.State.CANCELED
    assert not AuditEntry.objects.exists()


def test_dashboard_says_what_has_stopped_and_leads_there(signed_in, ada, alice, acme):
    provider = make_provider(acme, stopped_at=timezone.now(), stopped_reason="it refused our password.")
    now = timezone.now()
    message = make_message(alice, make_video(alice))
    for state, fields in (
        ("accepted", {"accepted_at": now, "played_at": now}),
        ("accepted", {"accepted_at": now}),
        ("bounced", {"finished_at": now}),
        ("deferred", {}),
        ("in_doubt", {}),
    ):
        make_delivery(message, address=f"{state}{len(fields)}@x.example", state=state, **fields)
    make_video(alice, state="failed")
    found = dashboard.numbers(acme)
    assert (found.accepted_today, found.waiting, found.refused_today, found.watched_today) == (2, 1, 1, 1)
    html = signed_in(ada).get(reverse("admin:index")).content.decode()
    for words in (
        "it refused our password",
        "1 mail is in doubt",
        "1 mail is tried again",
        "1 video could not be converted",
    ):
        assert words in html
    assert address(EmailProvider, "change", provider.pk) in html


def test_dashboard_is_cut_to_the_own_organization(signed_in, ada, alice, charlie, globex):
    make_provider(alice.organization)
    make_provider(globex, stopped_at=timezone.now(), stopped_reason="globex-only reason")
    make_delivery(make_message(charlie, make_video(charlie)), state="in_doubt", accepted_at=timezone.now())
    html = signed_in(ada).get(reverse("admin:index")).content.decode()
    assert "globex-only" not in html
    assert "in doubt:" not in html
    assert dashboard.numbers(alice.organization).accepted_today == 0
    assert dashboard.numbers(None).accepted_today == 1


def test_missing_settings_are_named(signed_in, ada):
    html = signed_in(ada).get(reverse("admin:index")).content.decode()
    assert "Acme has no SMTP settings" in html
    assert address(EmailProvider, "add") in html


@pytest.mark.parametrize("who", ["root", "ada"])
def test_a_delivery_is_found_by_address_message_id_or_code(signed_in, request, who, alice):
    rows = make_rows(alice)
    wanted = make_delivery(rows[Message], name="Kofi", address="kofi@torvald.example")
    client = signed_in(request.getfixturevalue(who))
    for text in (" Kofi@Torvald.example", wanted.internet_message_id, wanted.code):
        html = client.get(address(Delivery, "changelist"), {"q": text}).content.decode()
        assert f"/{wanted.pk}/change/" in html, text
        assert f"/{rows[Delivery].pk}/change/" not in html, text
    for text in ("@", "nobody@x.example", "<x@y>", "nothing"):
        assert "/change/" not in client.get(address(Delivery, "changelist"), {"q": text}).content.decode()


@pytest.mark.parametrize(
    ("url", "index"),
    [
        ("?q=kofi%40torvald.example", "delivery_by_address"),
        ("?q=%3C1%40x%3E", "delivery_by_message_id"),
    ],
)
def test_a_search_of_an_operator_is_answered_by_an_index(signed_in, root, alice, url, index):
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's plans depend on the number of rows")
    make_rows(alice)
    client = signed_in(root)
    with CaptureQueriesContext(connection) as queries:
        client.get(address(Delivery, "changelist") + url)
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"] and "messaging_delivery" in query["sql"]]
    assert counts
    with connection.cursor() as cursor:
        for sql in counts:
            cursor.execute("EXPLAIN QUERY PLAN " + sql)
            plan = " ".join(str(row) for row in cursor.fetchall())
            assert index in plan, plan
