"""After a refusal: try the refused again, correct one address, decide about a doubt; and who may."""

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from messaging import links, tasks
from messaging.models import Delivery, EmailProvider, Message, Suppression, Unsubscribe
from messaging.services import composing
from tests.messaging.wire import send, states


@pytest.fixture
def refused(compose, server):
    """A message of which one mail was taken, one refused by policy, one bounced for good."""
    server.answers = {
        "policy@x.example": "550 5.7.1 not today",
        "gone@x.example": "550 5.1.1 no such user",
    }
    message = send(compose(to=["anna@torvald.example", "policy@x.example", "gone@x.example"]))
    assert states(message) == ["accepted", "dropped", "bounced"]
    server.answers = {}
    server.mails.clear()
    return message


def pump():
    """Run the pumps a moment later."""
    with time_machine.travel(timezone.now() + timezone.timedelta(seconds=30), tick=True):
        tasks.pump()


def test_only_the_refused_are_tried_again_with_the_same_message_id(signed_in, alice, refused, server):
    before = refused.deliveries.get(address="policy@x.example").internet_message_id
    answer = signed_in(alice).post(reverse("messaging:message-resend", args=[refused.code]), follow=True)
    assert "1 mail is tried again." in answer.content.decode()
    pump()
    assert [mail.rcpt_to for mail in server.mails] == [["policy@x.example"]]
    assert before.encode() in server.mails[0].content
    assert states(refused) == ["accepted", "accepted", "bounced"]
    refused.refresh_from_db()
    assert refused.status == Message.Status.COMPLETED
    answer = signed_in(alice).post(reverse("messaging:message-resend", args=[refused.code]), follow=True)
    assert "An address that does not exist must be corrected." in answer.content.decode()


def test_an_address_is_corrected_and_the_old_link_is_closed(signed_in, alice, refused, server, client):
    old = refused.deliveries.get(address="gone@x.example")
    url = reverse("messaging:delivery-readdress", args=[refused.code, old.code])
    answer = signed_in(alice).post(url, {"address": "Here@X.example"}, follow=True)
    assert "Sent to Here@x.example. The old link is closed." in answer.content.decode()
    pump()
    assert [mail.rcpt_to for mail in server.mails] == [["Here@x.example"]]
    new = refused.deliveries.get(address="Here@x.example")
    assert (new.state, new.position, new.kind) == ("accepted", old.position, old.kind)
    assert new.code != old.code
    assert new.internet_message_id != old.internet_message_id
    old.refresh_from_db()
    assert (old.state, old.error_description) == ("bounced", "Sent to Here@x.example instead")
    client.logout()
    assert "no longer" in client.get(links.landing_url(old).removeprefix("http://pitch.test")).content.decode()
    assert Suppression.objects.count() == 1  # of the address that does not exist


@pytest.mark.parametrize(
    ("typed", "words"),
    [("nonsense", "@"), ("anna@torvald.example", "is a recipient of this message already"), ("", "address")],
)
def test_an_address_that_cannot_be_used_changes_nothing(signed_in, alice, refused, typed, words):
    old = refused.deliveries.get(address="gone@x.example")
    url = reverse("messaging:delivery-readdress", args=[refused.code, old.code])
    answer = signed_in(alice).post(url, {"address": typed}, follow=True)
    assert words in answer.content.decode()
    old.refresh_from_db()
    assert (refused.deliveries.count(), old.link_revoked_at) == (3, None)


def test_a_mail_on_its_way_is_not_readdressed(signed_in, alice, compose, server):
    server.answers = {"slow@x.example": "451 4.7.1 later"}
    message = send(compose(to=["slow@x.example"]))
    row = message.deliveries.get()
    url = reverse("messaging:delivery-readdress", args=[message.code, row.code])
    answer = signed_in(alice).post(url, {"address": "other@x.example"}, follow=True)
    assert "still on its way" in answer.content.decode()
    assert message.deliveries.count() == 1


def test_the_sender_pauses_and_goes_on(signed_in, alice, compose, server):
    server.answers = {"slow@x.example": "451 4.7.1 later"}
    message = send(compose(to=["slow@x.example"]))
    server.answers = {}
    client = signed_in(alice)
    client.post(reverse("messaging:message-pause", args=[message.code]))
    assert "Paused, 0 of 1" in client.get(reverse("messaging:message-list")).content.decode()
    with time_machine.travel(timezone.now() + timezone.timedelta(hours=1), tick=True):
        tasks.pump()
        assert states(message) == ["deferred"]
        client.post(reverse("messaging:message-resume", args=[message.code]))
        tasks.pump()
    assert states(message) == ["accepted"]


@pytest.mark.parametrize("who", ["bob", "charlie", "ada"])
def test_nobody_else_can(signed_in, request, refused, who):
    client = signed_in(request.getfixturevalue(who))
    old = refused.deliveries.get(address="gone@x.example")
    for name, args in [
        ("message-pause", [refused.code]),
        ("message-resume", [refused.code]),
        ("message-resend", [refused.code]),
        ("delivery-readdress", [refused.code, old.code]),
    ]:
        assert client.post(reverse(f"messaging:{name}", args=args), {"address": "x@x.example"}).status_code == 404
    assert states(refused) == ["accepted", "dropped", "bounced"]


@pytest.mark.abuse("A39")
@pytest.mark.parametrize(("action", "expected", "mails"), [("confirm", "accepted", 0), ("send_again", "accepted", 1)])
def test_an_administrator_decides_about_a_doubt(signed_in, ada, alice, compose, server, action, expected, mails):
    server.hang_up_at = "dot"
    message = send(compose())
    assert states(message) == ["in_doubt"]
    server.hang_up_at = ""
    server.mails.clear()
    row = Delivery.objects.get()
    data = {"action": action, "_selected_action": [row.pk]}
    answer = signed_in(ada).post(reverse("admin:messaging_delivery_changelist"), data, follow=True)
    assert "1 mail was decided." in answer.content.decode()
    pump()
    assert states(message) == [expected]
    assert len(server.mails) == mails
    if mails:
        assert row.internet_message_id.encode() in server.mails[0].content
    entry = AuditEntry.objects.filter(target=row.code).get()
    assert entry.actor == ada
    answer = signed_in(ada).post(reverse("admin:messaging_delivery_changelist"), data, follow=True)
    assert "None of these mails is in doubt." in answer.content.decode()


def page_of(client, message):
    return " ".join(client.get(reverse("messaging:message-detail", args=[message.code])).content.decode().split())


def test_the_page_offers_to_try_the_refused_again_and_to_correct_each(signed_in, alice, refused):
    client = signed_in(alice)
    html = page_of(client, refused)
    assert "Try the refused again (1)" in html  # the address that does not exist is not tried as it is
    assert html.count("Correct the address") == 2
    rows = {row.address: row for row in refused.deliveries.all()}
    for address in ("policy@x.example", "gone@x.example"):
        row = rows[address]
        assert f'id="correct-{row.code}" hx-preserve' in html
        assert reverse("messaging:delivery-readdress", args=[refused.code, row.code]) in html
    assert "Pause</button>" not in html
    url = reverse("messaging:delivery-readdress", args=[refused.code, rows["policy@x.example"].code])
    client.post(url, {"address": "other@x.example"})
    with time_machine.travel(timezone.now() + timezone.timedelta(seconds=25), tick=True):
        html = page_of(client, refused)
    assert "Stop the rest" in html
    assert "Try the refused again" not in html, "its mail went elsewhere"
    assert html.count("Correct the address") == 1
    answer = client.post(url, {"address": "third@x.example"}, follow=True)
    assert "This address was corrected already" in answer.content.decode()
    assert refused.deliveries.count() == 4


def test_an_address_that_is_skipped_because_it_is_dead_can_be_corrected_too(signed_in, alice, acme, compose, server):
    Suppression.objects.create(organization=acme, address_key="anna@torvald.example", reason="bounce")
    Unsubscribe.objects.create(organization=acme, address_key="no@x.example")
    message = send(compose(to=["anna@torvald.example", "no@x.example"]))
    assert states(message) == ["skipped", "skipped"]
    assert page_of(signed_in(alice), message).count("Correct the address") == 1


def test_the_page_says_that_it_is_paused_and_lets_it_go_on(signed_in, alice, compose, server):
    server.answers = {"slow@x.example": "451 4.7.1 later"}
    draft = compose(to=["slow@x.example"])
    message = composing.send(draft)
    client = signed_in(alice)
    assert "Pause</button>" not in page_of(client, message), "there is Undo for that"
    with time_machine.travel(timezone.now() + timezone.timedelta(seconds=25), tick=True):
        tasks.pump()
        assert "Pause</button>" in page_of(client, message)
        rows = reverse("messaging:message-rows", args=[message.code])
        before = client.get(rows)
        client.post(reverse("messaging:message-pause", args=[message.code]))
        html = page_of(client, message)
        assert "<strong>Paused.</strong> One mail waits until you let it go on." in html
        assert "Go on sending" in html
        assert "Pause</button>" not in html
        answer = client.get(rows, {"seen": before.content.decode().split("seen=")[1].split('"')[0]})
        assert answer.status_code == 200, "an open page hears of it"
        assert "Paused." in answer.content.decode()
        client.post(reverse("messaging:message-resume", args=[message.code]))
        assert "Paused." not in page_of(client, message)


@pytest.mark.parametrize("shared", [False, True])
def test_settings_that_are_saved_let_those_go_on_whose_sender_was_refused(
    signed_in, alice, root, acme, globex, charlie, compose, server, provider, shared
):
    if shared:
        EmailProvider.objects.filter(pk=provider.pk).update(organization=None)
    server.refuse_sender = "550 5.7.60 not <b>permitted</b> to send as"
    message = send(compose())
    html = page_of(signed_in(alice), message)
    assert "Paused: the mail server does not let you send from your address." in html
    assert "550 5.7.60 not &lt;b&gt;permitted&lt;/b&gt; to send as" in html
    own = composing.send(compose())
    composing.pause(own)
    now = timezone.now()
    other = Message.objects.create(
        organization=globex, sender=charlie, status="sending", send_after=now, paused_at=now, error_enum="senderRefused"
    )
    server.refuse_sender = ""
    form = {"host": "127.0.0.1", "port": server.port, "security": "none", "organization": "" if shared else acme.pk}
    form |= {"sender_mode": "send-as", "max_connections": 4, "limits-TOTAL_FORMS": 0, "limits-INITIAL_FORMS": 0}
    path = reverse("admin:messaging_emailprovider_change", args=[provider.pk])
    assert signed_in(root).post(path, form).status_code == 302
    pump()
    assert states(message) == ["accepted"]
    message.refresh_from_db()
    assert (message.error_enum, message.error_description) == ("", "")
    own.refresh_from_db()
    assert own.paused_at is not None, "what the sender holds back stays so"
    other.refresh_from_db()
    assert other.paused_at is not None, "that is another organization's matter"


def test_a_correction_does_not_lift_the_senders_pause_but_one_left_from_before(signed_in, alice, compose, server):
    server.answers = {"slow@x.example": "451 4.7.1 later", "gone@x.example": "550 5.1.1 no such user"}
    message = send(compose(to=["slow@x.example", "gone@x.example"]))
    client = signed_in(alice)
    client.post(reverse("messaging:message-pause", args=[message.code]))
    gone = message.deliveries.get(address="gone@x.example")
    url = reverse("messaging:delivery-readdress", args=[message.code, gone.code])
    answer = client.post(url, {"address": "here@x.example"}, follow=True)
    assert "It goes to here@x.example when you let the message go on." in answer.content.decode()
    message.refresh_from_db()
    assert message.paused_at is not None
    Message.objects.filter(pk=message.pk).update(status="completed")
    Delivery.objects.filter(message=message, state__in=Delivery.WAITING).update(state="error")
    client.post(reverse("messaging:message-resend", args=[message.code]))
    message.refresh_from_db()
    assert (message.status, message.paused_at) == ("sending", None)
