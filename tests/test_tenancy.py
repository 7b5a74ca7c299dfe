"""The sweep: every address of the site as nobody, a stranger, a colleague and an administrator.

An address that stands in no row of EXPECTED fails the test: whoever adds one has to say who may see it.
"""

import pytest
from django.conf import settings as django_settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.models import App, AuditEntry, Invitation, Person, PersonGroup
from messaging.models import Delivery, EmailProvider, Message, Suppression, Unsubscribe
from pitch.lib import signing
from templates_app.models import Signature
from videos.models import Upload, Video

# What each visitor gets on GET. "login": sent to sign-in. Numbers are statuses; a set means any of them.
MEMBERS = {"anonymous": "login", "stranger": 404, "colleague": 404, "administrator": 404, "owner": 200}
PAGE = {"anonymous": "login", "stranger": 200, "colleague": 200, "administrator": 200, "owner": 200}
POST_ONLY_OWN = {"anonymous": "login", "stranger": 405, "colleague": 405, "administrator": 405, "owner": 405}
PUBLIC = dict.fromkeys(MEMBERS, 200)
OK = {200, 302}
EXPECTED = {
    "messaging:home": PAGE,
    "messaging:message-list": PAGE,
    "messaging:message-create": PAGE,
    "messaging:message-detail": MEMBERS,
    "messaging:message-rows": MEMBERS,
    "messaging:message-edit": {**MEMBERS, "owner": 302},  # it was sent
    "messaging:message-preflight": {**MEMBERS, "owner": 404},  # it was sent
    "messaging:draft-save": POST_ONLY_OWN,
    "messaging:message-send": POST_ONLY_OWN,
    "messaging:message-test": POST_ONLY_OWN,
    "messaging:test-state": MEMBERS,
    "messaging:message-undo": POST_ONLY_OWN,
    "messaging:message-cancel": POST_ONLY_OWN,
    "messaging:message-pause": POST_ONLY_OWN,
    "messaging:message-resume": POST_ONLY_OWN,
    "messaging:message-resend": POST_ONLY_OWN,
    "messaging:delivery-readdress": POST_ONLY_OWN,
    "messaging:message-duplicate": POST_ONLY_OWN,
    "messaging:message-delete": POST_ONLY_OWN,
    "messaging:preview-mail": MEMBERS,
    "messaging:preview-landing": MEMBERS,
    "messaging:delivery-snippet": MEMBERS,
    "messaging:recipients-parse": POST_ONLY_OWN,
    "messaging:recipient-search": PAGE,
    "messaging:landing": PUBLIC,
    "messaging:landing-beacon": dict.fromkeys(MEMBERS, 405),
    "messaging:unsubscribe": PUBLIC,
    "videos:video-record": PAGE,
    "videos:upload-create": {"anonymous": 401, "stranger": 405, "colleague": 405, "administrator": 405, "owner": 405},
    "videos:upload-resource": {"anonymous": 401, "stranger": 405, "colleague": 405, "administrator": 405, "owner": 405},
    "videos:upload-finish": dict.fromkeys(MEMBERS, 405),
    "videos:video-list": PAGE,
    "videos:video-detail": MEMBERS,
    "videos:video-rename": POST_ONLY_OWN,
    "videos:video-delete": POST_ONLY_OWN,
    "videos:video-status": MEMBERS,
    "videos:media": dict.fromkeys(MEMBERS, 404),  # a signed address is the key, and this one is forged
    "accounts:whoami": {**PUBLIC, "anonymous": 401},
    "accounts:invitation-accept": PUBLIC,
    "accounts:profile": PAGE,
    "accounts:brand-css": PUBLIC,
    "accounts:brand-logo": dict.fromkeys(MEMBERS, 404),  # none was uploaded
    "accounts:user-photo": dict.fromkeys(MEMBERS, 404),
    "templates_app:signature-edit": PAGE,
    "account_login": {**dict.fromkeys(MEMBERS, 302), "anonymous": 200},
    "account_logout": {**PUBLIC, "anonymous": 302},
    "account_inactive": PUBLIC,
    "account_signup": {**dict.fromkeys(MEMBERS, OK)},
    "account_reauthenticate": {**PUBLIC, "anonymous": 302},
    "account_change_password": {**PUBLIC, "anonymous": "login"},
    "account_set_password": {**dict.fromkeys(MEMBERS, 302), "anonymous": "login"},
    "account_reset_password": dict.fromkeys(MEMBERS, OK),
    "account_reset_password_done": PUBLIC,
    "account_reset_password_from_key": dict.fromkeys(MEMBERS, OK),
    "account_reset_password_from_key_done": PUBLIC,
    "api:mail-config": dict.fromkeys(MEMBERS, 405),  # tests/api has the calls; a cookie authorizes none
    "api:mail-setup": dict.fromkeys(MEMBERS, 405),
    "mailbox:mail-list": PUBLIC,  # demo mode only
    "mailbox:mail-clear": dict.fromkeys(MEMBERS, 405),
    "mailbox:mail-detail": dict.fromkeys(MEMBERS, 404),
    "mailbox:mail-html": dict.fromkeys(MEMBERS, 404),
    "metrics": dict.fromkeys(MEMBERS, 404),  # off unless METRICS_TOKEN is set
    "patterns": PUBLIC,  # demo mode only
}


def addresses():
    """Return the names of all patterns outside the admin."""
    found = []

    def walk(patterns, namespace=""):
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
                if inner != "admin:":
                    walk(pattern.url_patterns, inner)
            elif isinstance(pattern, URLPattern):
                found.append(f"{namespace}{pattern.name}")

    walk(get_resolver().url_patterns)
    return sorted(found)


@pytest.fixture
def world(acme, alice):
    """One of everything, belonging to alice of acme; returns the values that addresses need."""
    video = Video.objects.create(
        organization=acme, owner=alice, state="ready", duration_ms=2000, width=320, height=180,
        video_path="videos/x/video.mp4", poster_path="videos/x/poster.jpg", thumbnail_path="videos/x/thumbnail.jpg",
    )  # fmt: skip
    upload_video = Video.objects.create(organization=acme, owner=alice)
    upload = Upload.objects.create(
        organization=acme, owner=alice, video=upload_video, path="uploads/x", expires_at=timezone.now()
    )
    message = Message.objects.create(
        organization=acme, sender=alice, video=video, subject="Secret plan", status="completed",
        send_after=timezone.now(), sent_at=timezone.now(),
    )  # fmt: skip
    delivery = Delivery.objects.create(
        organization=acme, message=message, name="Anna", address="anna@torvald.example", address_key="anna@torvald.example",
        state="accepted", next_at=timezone.now(), date=timezone.now(), internet_message_id="<x@acme.test>", lane=message.code,
    )  # fmt: skip
    test = Message.objects.create(
        organization=acme,
        sender=alice,
        is_test=True,
        subject="Secret test",
        status="completed",
        send_after=timezone.now(),
    )
    test_mail = Delivery.objects.create(
        organization=acme, message=test, address="alice@acme.test", address_key="alice@acme.test", state="bounced",
        reply_text="Secret words", next_at=timezone.now(), date=timezone.now(), internet_message_id="<y@acme.test>", lane=test.code,
    )  # fmt: skip
    invitation = Invitation.objects.create(
        organization=acme, email="new@acme.test", expires_at=timezone.now() + timezone.timedelta(days=1)
    )
    Person.objects.create(organization=acme, user_id="p", email="person@acme.test", first_name="Pers")
    PersonGroup.objects.create(organization=acme, group_id="g", name="Secret group")
    App.objects.create(organization=acme, custom_name="Secret app")
    AuditEntry.objects.create(organization=acme, action="secret action")
    EmailProvider.objects.create(organization=acme, host="smtp.secret.example", name="Secret server")
    Suppression.objects.create(organization=acme, address_key="gone@secret.example", reason="bounce")
    Unsubscribe.objects.create(organization=acme, address_key="no@secret.example")
    Signature.objects.create(organization=acme, owner=alice, html="<p>Secret</p>")
    return {
        "messaging": message.code, "delivery_code": delivery.code, "test_mail": test_mail.code,
        "videos": video.code, "upload": upload.code,
        "brand": acme.code, "photo": alice.code,
        "landing": signing.sign("landing", delivery.code), "unsubscribe": signing.sign("unsubscribe", delivery.code),
        "invitation": signing.sign("invitation", invitation.code),
    }  # fmt: skip


def path_of(name, world):
    """Return the path of a named address for the objects of `world`."""
    from django.urls import reverse

    app = name.partition(":")[0]
    arguments = {
        "messaging:landing": [world["landing"]],
        "messaging:landing-beacon": [world["landing"]],
        "messaging:unsubscribe": [world["unsubscribe"]],
        "messaging:delivery-snippet": [world["messaging"], world["delivery_code"]],
        "messaging:delivery-readdress": [world["messaging"], world["delivery_code"]],
        "messaging:test-state": [world["test_mail"]],
        "videos:media": [world["videos"], "video", 0, "0" + "A" * 22, "video.mp4"],
        "videos:upload-resource": [world["upload"]],
        "videos:upload-finish": [world["upload"]],
        "accounts:invitation-accept": [world["invitation"]],
        "accounts:brand-css": [world["brand"]],
        "accounts:brand-logo": [world["brand"]],
        "accounts:user-photo": [world["photo"]],
        "account_reset_password_from_key": ["1", "set-password"],
        "api:mail-setup": ["acme"],
        "mailbox:mail-detail": ["none"],
        "mailbox:mail-html": ["none"],
    }
    if name in arguments:
        return reverse(name, args=arguments[name])
    try:
        return reverse(name)
    except Exception:  # noqa: BLE001  (it needs the code of its app's object)
        return reverse(name, args=[world[app]])


def test_every_address_has_an_expectation(db):
    assert sorted(EXPECTED) == addresses()


@pytest.mark.abuse("A11")
def test_everybody_gets_what_is_theirs(client, world, alice, bob, ada, charlie):
    visitors = {"anonymous": None, "stranger": charlie, "colleague": bob, "administrator": ada, "owner": alice}
    wrong = []
    for who, user in visitors.items():
        client.logout()
        if user is not None:
            client.force_login(user, backend=django_settings.AUTHENTICATION_BACKENDS[0])
        for name, expected in EXPECTED.items():
            answer = client.get(path_of(name, world))
            wanted = expected[who]
            if wanted == "login":
                good = answer.status_code == 302 and "/accounts/login/" in answer["Location"]
            else:
                good = answer.status_code in (wanted if isinstance(wanted, set) else {wanted})
            if not good:
                wrong.append(f"{who} GET {name}: {answer.status_code} {answer.get('Location', '')}, expected {wanted}")
            if who in {"stranger", "anonymous"} and not name.startswith(("messaging:landing", "messaging:unsub")):
                assert "Secret" not in answer.content.decode(errors="replace"), f"{who} reads secrets at {name}"
    assert not wrong, "\n".join(wrong)


@pytest.mark.abuse("A11")
def test_strangers_cannot_change_anything(client, world, bob, charlie):
    posts = [
        name
        for name, expected in EXPECTED.items()
        if expected is POST_ONLY_OWN and name != "messaging:recipients-parse"
    ]
    before = (
        Message.objects.count(),
        Message.objects.get(is_test=False).updated_at,
        Video.objects.filter(deleted_at=None).count(),
    )
    for user in (bob, charlie):
        client.force_login(user, backend=django_settings.AUTHENTICATION_BACKENDS[0])
        for name in posts:
            answer = client.post(path_of(name, world), data="{}", content_type="application/json")
            assert answer.status_code == 404, f"{user} POST {name}: {answer.status_code}"
    assert before == (
        Message.objects.count(),
        Message.objects.get(is_test=False).updated_at,
        Video.objects.filter(deleted_at=None).count(),
    )


@pytest.mark.abuse("A11")
def test_an_administrator_sees_nothing_of_another_organization(client, world, globex, root):
    from django.contrib import admin
    from django.urls import reverse

    from tests.conftest import make_user

    boss = make_user(globex, "boss", "administrator")
    for user, sees in ((boss, False), (root, True)):
        client.force_login(user, backend=django_settings.AUTHENTICATION_BACKENDS[0])
        for model in admin.site._registry:
            if model._meta.app_label not in {"accounts", "messaging", "videos", "templates_app"}:
                continue
            label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            listed = client.get(reverse(f"{label}_changelist"))
            assert listed.status_code == 200, label
            rows = listed.context["cl"].result_list
            owners = {getattr(row, "organization", row) for row in rows}
            if not sees:
                assert owners <= {globex, None}, f"{label} lists {owners}"
            for row in model._default_manager.all()[:3]:
                if getattr(row, "organization", row) == globex or getattr(row, "organization", None) is None:
                    continue
                detail = client.get(reverse(f"{label}_change", args=[row.pk]))
                assert detail.status_code == (200 if sees else 302), f"{label} {user}: {detail.status_code}"
