"""What goes over the wire, and what becomes of each answer: drafts sent by the services through a real server on loopback."""

import ipaddress
import re
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import ks
from accounts.models import User
from messaging import links, tasks
from messaging.models import Delivery, EmailProvider, Message, Suppression, Unsubscribe
from messaging.services import claims, composing, drafts, journals, leases, pumps, sending
from messaging.transports.base import Outcome, Result
from pitch.lib import signs
from templates_app.services import signatures
from tests.messaging.wire import die, pumping, send, states


def parsed(kept):
    return message_from_bytes(kept.content, policy=policy.default)


@pytest.mark.req("R371", "R375", "R378", "R379", "R380")
def test_forty_calls_one_address_each_in_order_and_bcc_in_no_header(compose, server):
    to = [f"to{n}@many.example" for n in range(20)]
    bcc = [f"bcc{n}@many.example" for n in range(20)]
    message = send(compose(to=to, bcc=bcc))
    assert [mail.rcpt_to for mail in server.mails] == [[address] for address in to + bcc]
    assert server.connections == 1
    # MAIL, RCPT, DATA of one mail end before the next begins.
    assert server.log == [
        line for address in to + bcc for line in ("MAIL alice@acme.test", f"RCPT {address}", f"DATA {address}")
    ]
    for mail in server.mails:
        own = mail.rcpt_to[0]
        raw = mail.content.decode()
        assert not [other for other in to + bcc if other != own and other in raw]
        assert parsed(mail)["Bcc"] is None
        if own.startswith("bcc"):
            assert own not in raw
            assert parsed(mail)["To"] == "undisclosed-recipients:;"
        else:
            assert parsed(mail)["To"] == own
    assert message.status == Message.Status.COMPLETED
    assert set(states(message)) == {"accepted"}


@pytest.mark.req("R382", "R383", "R384", "R385", "R386")
def test_two_parts_text_first_a_picture_by_address_links_and_no_attachment(compose, server):
    send(compose())
    mail = parsed(server.mails[0])
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert not list(mail.iter_attachments())
    html = mail.get_body(("html",)).get_content()
    (picture,) = re.findall(r"<img[^>]*>", html)
    assert re.search(r'src="http://pitch\.test/media/', picture)
    assert 'alt="Play: video from Alice, 42 seconds"' in picture
    assert "cid:" not in html
    delivery = Delivery.objects.get()
    assert html.count(links.landing_url(delivery)) == 3
    assert links.unsubscribe_url(delivery) in html
    text = mail.get_body(("plain",)).get_content()
    assert links.landing_url(delivery) in text
    assert "Hello there" in text
    assert "<" not in text
    assert len(server.mails[0].content) < 30_000


@pytest.mark.req("R381")
def test_reply_to_once_when_set_and_absent_when_not(compose, server, provider):
    send(compose())
    send(compose(reply_to="answers@acme.test"))
    assert parsed(server.mails[0])["Reply-To"] is None
    assert parsed(server.mails[1]).get_all("Reply-To") == ["answers@acme.test"]


def head(kept):
    """Return the headers as they stand in the bytes the server received, without those every mail has."""
    lines = kept.content.split(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").decode("ascii").split("\r\n")
    common = ("Subject:", "Date:", "Message-ID:", "List-Unsubscribe", "Content-Type:", "MIME-Version:", "To:")
    return [line for line in lines if not line.startswith(common)]


@pytest.fixture
def send_in_mode(compose, server, provider):
    """Return a function that sends a mail of alice's with given settings, and returns (MAIL FROM, headers)."""

    def through(mode, draft=None, **columns):
        EmailProvider.objects.update(
            sender_mode=mode, from_address="pitch@acme.test", from_name="Acme Video", **columns
        )
        send(compose(**(draft or {})))
        return server.mails[-1].mail_from, head(server.mails[-1])

    return through


@pytest.mark.req("R373")
def test_send_as_from_and_mail_from_are_the_person_and_nobody_else_is_named(send_in_mode, server):
    assert send_in_mode("send-as") == ("alice@acme.test", ["From: Alice <alice@acme.test>"])
    assert b"pitch@acme.test" not in server.mails[0].content


@pytest.mark.req("R368", "R373")
def test_on_behalf_the_service_hands_in_the_persons_mail(send_in_mode):
    assert send_in_mode("on-behalf") == (
        "pitch@acme.test",
        ["From: Alice <alice@acme.test>", "Sender: Acme Video <pitch@acme.test>"],
    )


@pytest.mark.req("R368", "R381")
def test_service_the_mail_is_from_the_service_and_answers_go_to_the_person(send_in_mode):
    via = "From: Alice via Acme <pitch@acme.test>"
    assert send_in_mode("service") == ("pitch@acme.test", [via, "Reply-To: Alice <alice@acme.test>"])
    own = {"reply_to": "answers@acme.test"}
    assert send_in_mode("service", own)[1] == [via, "Reply-To: answers@acme.test"]


@pytest.mark.req("R438", "R450")
def test_bounces_go_to_their_own_address_in_each_mode_and_change_no_header(send_in_mode):
    for mode in EmailProvider.SenderMode.values:
        _mail_from, headers = send_in_mode(mode, envelope_from="")
        assert send_in_mode(mode, envelope_from="bounces@acme.test") == ("bounces@acme.test", headers)


@pytest.mark.req("R435", "R450")
def test_a_configured_reply_address_is_used_in_each_mode(send_in_mode):
    for mode in EmailProvider.SenderMode.values:
        headers = send_in_mode(mode, reply_to_address="team@acme.test", reply_to_name="The team")[1]
        assert [line for line in headers if line.startswith("Reply-To")] == ["Reply-To: The team <team@acme.test>"]


@pytest.mark.req("R450")
def test_a_persons_mail_goes_as_settings_by_the_api_say(compose, client, acme, server, provider, settings):
    settings.SMTP_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    settings.SMTP_ALLOWED_PORTS = [server.port]
    provider.delete()
    acme.admin_secrets = ["a" * 32]
    acme.save()
    given = {
        "host": "127.0.0.1", "port": server.port, "ssl": False, "starttls": False, "from": "videos@acme.test",
        "fromDisplayName": "Acme", "replyTo": "team@acme.test", "replyToDisplayName": "The team",
    }  # fmt: skip
    bearer = f"Bearer {ks.start(acme, type=ks.SessionType.ADMIN, user_id='ops')}"
    for bounces in ("", "bounces@acme.test"):
        answer = client.post(
            "/auth/realms/acme/mail/setup",
            given | {"envelopeFrom": bounces},
            content_type="application/json",
            headers={"authorization": bearer},
        )
        assert answer.status_code == 200, answer.content
        send(compose())
        assert server.mails[-1].mail_from == (bounces or "videos@acme.test")
        assert head(server.mails[-1]) == [
            "From: Alice via Acme <videos@acme.test>",
            "Reply-To: The team <team@acme.test>",
        ]


def test_who_is_the_service_is_not_named_twice(send_in_mode, alice):
    alice.email = "pitch@acme.test"
    alice.save()
    assert send_in_mode("on-behalf") == ("pitch@acme.test", ["From: Alice <pitch@acme.test>"])


@pytest.mark.parametrize("mode", ["on-behalf", "service"])
def test_no_mode_that_needs_the_default_address_without_one(provider, mode):
    with pytest.raises(IntegrityError), transaction.atomic():
        EmailProvider.objects.update(sender_mode=mode, from_address="")


@pytest.mark.req("R387")
def test_a_refused_address_stops_nobody_and_its_words_are_kept(compose, server):
    server.answers = {"gone@x.example": "550 5.1.1 no such user", "full@x.example": "552 5.2.2 mailbox full"}
    server.after_data = {
        "spam@x.example": "554 5.7.1 we do not like it",
        "later@x.example": "451 4.7.1 try again in 5 minutes",
    }
    message = send(
        compose(to=["gone@x.example", "full@x.example", "spam@x.example", "later@x.example", "anna@torvald.example"])
    )
    assert states(message) == ["bounced", "bounced", "dropped", "deferred", "accepted"]
    gone, full, _spam, later, _anna = message.deliveries.order_by("position")
    assert (gone.reply_code, gone.reply_text) == (550, "5.1.1 no such user")
    assert [row.address_key for row in Suppression.objects.all()] == ["gone@x.example"]
    assert full.attempts == later.attempts == 1
    assert timedelta(minutes=4) < later.next_at - timezone.now() < timedelta(minutes=6)
    assert message.status == Message.Status.SENDING
    server.after_data = {}
    with time_machine.travel(later.next_at + timedelta(seconds=1), tick=True):
        tasks.pump()
    message.refresh_from_db()
    assert states(message)[3] == "accepted"
    assert message.status == Message.Status.COMPLETED
    first, second = [mail for mail in server.mails if mail.rcpt_to == ["later@x.example"]]
    assert first.content == second.content  # each attempt sends the same bytes


def test_put_off_for_a_day_is_given_up(compose, server):
    server.answers = {"busy@x.example": "450 4.2.1 busy"}
    message = send(compose(to=["busy@x.example"]))
    for _try in range(12):
        row = message.deliveries.get()
        if row.state != "deferred":
            break
        with time_machine.travel(row.next_at + timedelta(seconds=1), tick=True):
            tasks.pump()
    assert states(message) == ["error"]
    assert message.deliveries.get().attempts <= 12


@pytest.mark.req("R372", "R373")
def test_a_refused_service_address_stops_the_server_and_burns_nobodys_attempt(compose, server, provider):
    EmailProvider.objects.update(envelope_from="bounces@acme.test")
    server.refuse_sender = "550 5.7.60 not permitted to send as this sender"
    message = send(compose(to=["anna@torvald.example", "kofi@asante.example"]))
    assert states(message) == ["queued", "queued"]
    assert set(message.deliveries.values_list("attempts", flat=True)) == {0}
    provider.refresh_from_db()
    assert "refused the sender bounces@acme.test" in provider.stopped_reason
    assert len([line for line in server.log if line.startswith("MAIL")]) == 1
    server.refuse_sender = ""
    with time_machine.travel(provider.retry_at + timedelta(seconds=1), tick=True):
        tasks.pump()
    provider.refresh_from_db()
    assert states(message) == ["accepted", "accepted"]
    assert provider.stopped_at is None


@pytest.mark.abuse("A39")
def test_a_connection_lost_before_the_mail_was_handed_over_sends_it_once(compose, server):
    server.hang_up_at = "rcpt"
    message = send(compose())
    assert states(message) == ["queued"]
    server.hang_up_at = ""
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=True):
        tasks.pump()
    assert states(message) == ["accepted"]
    assert len(server.mails) == 1


@pytest.mark.abuse("A39")
def test_a_connection_lost_after_the_dot_is_a_doubt_and_never_sent_again(compose, server):
    server.hang_up_at = "dot"
    message = send(compose())
    assert states(message) == ["in_doubt"]
    server.hang_up_at = ""
    with time_machine.travel(timezone.now() + timedelta(days=2), tick=True):
        sending.recover()
        tasks.pump()
    assert states(message) == ["in_doubt"]
    assert len(server.mails) == 1
    assert message.status == Message.Status.COMPLETED


def test_nothing_is_claimable_before_the_undo_time_ends(compose, server):
    message = composing.send(compose())
    tasks.pump()
    assert server.mails == []
    assert sending.nudge() == 0
    composing.undo(message)
    assert message.status == Message.Status.DRAFT
    assert not message.deliveries.exists()
    again = composing.send(message)
    with time_machine.travel(timezone.now() + timedelta(seconds=21), tick=True):
        assert sending.nudge() == 1
        assert sending.nudge() == 0  # one wake-up is enough
        with pytest.raises(composing.TooLate):
            composing.undo(again)


def test_cancel_stops_what_has_not_gone(compose, server):
    server.answers = {"later@x.example": "451 4.7.1 later"}
    message = send(compose(to=["anna@torvald.example", "later@x.example"]))
    assert composing.cancel(message) == (1, 1)
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=True):
        tasks.pump()
    assert states(message) == ["accepted", "canceled"]
    assert len(server.mails) == 1


@pytest.mark.abuse("A43")
def test_who_opted_out_or_bounced_is_skipped_at_the_claim(compose, server, acme):
    message = composing.send(compose(to=["Anna@Torvald.example", "gone@x.example", "kofi@asante.example"]))
    Unsubscribe.objects.create(organization=acme, address_key="anna@torvald.example")
    Suppression.objects.create(organization=acme, address_key="gone@x.example", reason="bounce", detail="550 gone")
    with time_machine.travel(timezone.now() + timedelta(seconds=21), tick=True):
        tasks.pump()
    assert states(message) == ["skipped", "skipped", "accepted"]
    assert message.deliveries.first().error_enum == "userUnsubscribeFromThisGroup"
    assert [mail.rcpt_to for mail in server.mails] == [["kofi@asante.example"]]


@pytest.mark.req("R379")
def test_a_lane_lets_one_row_be_leased_whoever_asks(compose, provider):
    message = composing.send(compose(to=["anna@torvald.example", "kofi@asante.example"]))
    with pumping(provider) as pump, pumping(provider) as second:
        (first,) = pump.next_window()
        assert first.address == "anna@torvald.example"
        assert pump.next_window() == second.next_window() == []
        other = message.deliveries.get(address="kofi@asante.example")
        with pytest.raises(IntegrityError), transaction.atomic():
            Delivery.objects.filter(pk=other.pk).update(state="leased", lease="x", lease_until=timezone.now())
        pump.note(first, Result(Outcome.ACCEPTED, 250, "ok"))
        assert [row.pk for row in pump.next_window()] == [other.pk]


@pytest.mark.parametrize(
    ("journal", "in_flight", "expected"),
    [
        ([], False, "queued"),
        ([], True, "queued"),  # committed as in flight, but its journal says the dot never went out
        (["dot"], True, "in_doubt"),
        (["dot", "reply"], True, "accepted"),
        (None, False, "queued"),  # the host is gone with its disk
        (None, True, "in_doubt"),
    ],
)
@pytest.mark.abuse("A39")
def test_the_row_of_a_dead_pump(compose, provider, server, journal, in_flight, expected):
    message = composing.send(compose())
    with pumping(provider) as pump:
        if in_flight:
            (row,) = pump.next_window()
        else:
            (row,) = claims.claim_lanes(provider, pump.lease, 1)
        if journal and "dot" in journal:
            pump.journal.dot(row.pk)
        if journal and "reply" in journal:
            pump.journal.reply(row.pk, Result(Outcome.ACCEPTED, 250, "2.0.0 kept"))
        assert sending.recover() == 0  # its holder lives
        dead = die(pump)
        if journal is None:
            journals.remove(dead)
        assert sending.recover() == 1
        assert sending.recover() == 0
    assert states(message) == [expected]
    row.refresh_from_db()
    assert row.reply_text == ("2.0.0 kept" if expected == "accepted" else "")


def test_a_reply_that_was_cut_off_in_the_journal_is_a_doubt(compose, provider):
    message = composing.send(compose())
    with pumping(provider) as pump:
        (row,) = pump.next_window()
        pump.journal.dot(row.pk)
        pump.journal.reply(row.pk, Result(Outcome.ACCEPTED, 250, "2.0.0 kept"))
        path = journals.path_of(die(pump))
        path.write_bytes(path.read_bytes()[:-5])
        sending.recover()
    assert states(message) == ["in_doubt"]


@pytest.mark.abuse("A39")
def test_the_journal_of_a_host_that_comes_back_ends_the_doubt(compose, provider):
    message = composing.send(compose())
    with pumping(provider) as pump:
        (row,) = pump.next_window()
        pump.journal.dot(row.pk)
        pump.journal.reply(row.pk, Result(Outcome.ACCEPTED, 250, "2.0.0 kept"))
        path = journals.path_of(die(pump))
        away = path.rename(path.with_suffix(".away"))
        sending.recover()
        assert states(message) == ["in_doubt"]
        away.rename(path)
        assert sending.recover() == 1
    assert states(message) == ["accepted"]
    assert not path.exists()


def test_a_slot_that_was_lost_sends_nothing(compose, server, provider):
    """Between the claim and the final dot others may have taken over: then the dot does not go out."""
    message = composing.send(compose())
    with pumping(provider) as pump:
        window = pump.next_window()
        pump.slot.deadline = 0
        with pytest.raises(pumps.SlotLost):
            pump.send_window(window)
    assert server.mails == []
    assert states(message) == ["leased"]


def test_a_result_of_a_lost_lease_changes_nothing(compose, server, provider):
    message = composing.send(compose())
    with pumping(provider) as pump:
        window = pump.next_window()
        Delivery.objects.update(lease=leases.new_lease())
        pump.send_window(window)
        pump.flush()
    assert states(message) == ["leased"]


def test_two_clicks_on_send_are_one(compose):
    message = compose()
    twin = Message.objects.get(pk=message.pk)
    composing.send(message)
    with pytest.raises(drafts.NotADraft):
        composing.send(twin)
    assert Delivery.objects.count() == 1


@pytest.mark.req("R418")
def test_the_signature_stands_below_and_can_be_left_out(compose, server, alice):
    signatures.save_default(alice, "<p><strong>Alice</strong><br>Acme</p><script>x</script>")
    send(compose())
    send(compose(with_signature=False))
    with_one, without = (parsed(mail) for mail in server.mails)
    assert "<strong>Alice</strong><br>Acme" in with_one.get_body(("html",)).get_content()
    assert "-- \nAlice\nAcme" in with_one.get_body(("plain",)).get_content().replace("\r", "")
    assert "script" not in with_one.get_body(("html",)).get_content()
    assert "<strong>Alice" not in without.get_body(("html",)).get_content()


def test_a_test_mail_goes_to_oneself_at_once_and_counts_nowhere(compose, server, alice):
    message = compose()
    composing.send_test(message, alice)
    tasks.pump()
    (mail,) = server.mails
    assert mail.rcpt_to == ["alice@acme.test"]
    assert parsed(mail)["Subject"] == "Test: Two answers"
    assert list(Message.objects.of_sender(alice)) == [message]
    assert message.status == Message.Status.DRAFT


@pytest.mark.abuse("A36")
def test_the_log_of_a_send_holds_no_address_and_no_link(compose, server, caplog):
    server.refuse_sender = "550 5.7.60 no"
    send(compose(to=["canary.person@torvald.example"]))
    from pitch.lib.logs import scrub

    said = "\n".join(scrub(record.getMessage()) for record in caplog.records)
    assert said
    for planted in ("canary.person@", "alice@acme", links.landing_url(Delivery.objects.get())):
        assert planted not in said


def test_a_server_that_always_hangs_up_is_given_up(compose, server):
    server.hang_up_at = "rcpt"
    message = send(compose())
    for _try in range(15):
        row = message.deliveries.get()
        if row.state != "queued":
            break
        with time_machine.travel(max(row.next_at, timezone.now()) + timedelta(seconds=1), tick=True):
            tasks.pump()
    assert states(message) == ["error"]
    assert message.deliveries.get().attempts <= 12


@pytest.mark.parametrize("how", ["put off", "hung up", "killed"])
@pytest.mark.abuse("A39")
def test_what_was_being_tried_when_it_was_canceled_is_not_tried_again(compose, server, provider, how):
    message = composing.send(compose())
    with pumping(provider) as pump:
        (row,) = window = pump.next_window()
        assert composing.cancel(message) == (0, 1)
        if how == "killed":
            die(pump)
            sending.recover()
        else:
            server.answers = {row.address: "451 later"} if how == "put off" else {}
            server.hang_up_at = "rcpt" if how == "hung up" else ""
            pump.send_window(window)
            pump.finish()
    server.answers, server.hang_up_at = {}, ""
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=True):
        tasks.pump()
    message.refresh_from_db()
    assert server.mails == []
    assert (states(message), message.status) == (["canceled"], Message.Status.CANCELED)


def test_a_row_whose_provider_was_deleted_waits_for_the_next_one(compose, server, provider):
    message = composing.send(compose(to=["anna@torvald.example", "kofi@asante.example"]))
    Delivery.objects.update(provider=None)
    server.refuse_sender = "451 4.3.0 not now"
    with time_machine.travel(timezone.now() + timedelta(seconds=21), tick=True):
        tasks.pump()
    assert len([line for line in server.log if line.startswith("MAIL")]) == 1
    assert states(message) == ["queued", "queued"]
    assert set(message.deliveries.values_list("provider", "attempts")) == {(provider.pk, 0)}


@pytest.mark.parametrize("said", ["550 5.7.60 not permitted to send as", "554 5.2.252 SendAsDenied; alice"])
@pytest.mark.parametrize("where", ["sender", "data"])
def test_a_refused_person_is_nobodys_bounce_and_stops_only_the_own_mail(compose, server, provider, where, said):
    if where == "sender":
        server.refuse_sender = said
    else:
        server.after_data = {"anna@torvald.example": said}
    message = send(compose(to=["anna@torvald.example", "kofi@asante.example"]))
    assert states(message) == ["queued", "queued"]
    assert set(message.deliveries.values_list("attempts", flat=True)) == {0}
    assert message.paused_at is not None
    assert said in message.error_description
    assert not Suppression.objects.exists()
    provider.refresh_from_db()
    assert provider.stopped_at is None
    server.refuse_sender, server.after_data = "", {}
    send(compose(to=["others@torvald.example"]))
    assert [mail.rcpt_to for mail in server.mails][-1] == ["others@torvald.example"]
    composing.resume(message)
    with time_machine.travel(timezone.now() + timedelta(minutes=1), tick=True):
        tasks.pump()
    message.refresh_from_db()
    assert (states(message), message.error_description) == (["accepted", "accepted"], "")


def test_a_pump_ends_between_two_mails_when_the_worker_stops(compose, server, monkeypatch, tmp_path):
    """Asked to stop while the first of three is on its way: that one is finished, the others wait, nothing is in doubt."""
    message = composing.send(compose(to=[f"to{n}@torvald.example" for n in range(3)]))
    monkeypatch.setenv(signs.FOLDER, str(tmp_path))
    server.at_data = (tmp_path / "stopping").touch
    with time_machine.travel(timezone.now() + timedelta(seconds=21), tick=True):
        tasks.pump()
    assert states(message) == ["accepted", "queued", "queued"]
    assert len(server.mails) == 1


def test_paused_mail_waits_and_goes_on(compose, server):
    message = composing.send(compose())
    composing.pause(message)
    with time_machine.travel(timezone.now() + timedelta(seconds=21), tick=True):
        tasks.pump()
        assert server.mails == []
        composing.resume(message)
        tasks.pump()
    assert states(message) == ["accepted"]


@pytest.mark.abuse("A5")
def test_a_subject_nobody_can_decode_stops_only_itself(compose, server):
    bad = composing.send(compose(subject="=?nosuch?Q?x?="))
    good = send(compose())
    assert (states(bad), states(good)) == (["error"], ["accepted"])


@pytest.mark.req("R387")
def test_what_this_server_cannot_carry_is_an_error_and_nobodys_bounce(compose, server):
    server.speaks_utf8 = False
    message = send(compose(to=["jürgen@x.example", "anna@torvald.example"]))
    assert states(message) == ["error", "accepted"]
    assert "letters beyond a–z (SMTPUTF8)" in message.deliveries.first().error_description
    assert not Suppression.objects.exists()
    assert [line for line in server.log if "jürgen" in line] == []


BREAKS = ["x\r\nBcc: spy@evil.example", "x\nBcc: spy@evil.example", "=?UTF-8?Q?=0A?=Bcc: spy@evil.example", "x\x0by"]


@pytest.mark.parametrize("value", BREAKS)
@pytest.mark.parametrize("place", ["subject", "name", "sender", "reply_to_name"])
@pytest.mark.abuse("A5", "A6")
def test_no_server_receives_a_smuggled_header(compose, server, provider, place, value):
    """Past every form: the values stand in the rows already."""
    message = composing.send(compose())
    match place:
        case "subject":
            Message.objects.update(subject=value)
        case "name":
            Delivery.objects.update(name=value)
        case "sender":
            User.objects.update(name=value)
        case "reply_to_name":
            EmailProvider.objects.update(reply_to_name=value, reply_to_address="answers@acme.test")
    with time_machine.travel(timezone.now() + timedelta(seconds=21), tick=True):
        tasks.pump()
    assert states(message) == ["error"]
    assert (server.log, server.mails) == ([], [])
