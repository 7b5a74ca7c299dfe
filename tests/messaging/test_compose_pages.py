"""Compose, lists and the message page by their URLs, and the provisioning of a mail server."""

import json
import re
import time
from datetime import timedelta

import pytest
import time_machine
import trustme
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from messaging.models import Delivery, EmailProvider, Message
from messaging.services import composing, drafts, providers, recipients
from messaging.services.drafts import DraftFields
from messaging.services.recipients import ParsedAddress
from tests.conftest import make_user
from videos.models import Video


@pytest.fixture
def video(acme, alice):
    return Video.objects.create(
        organization=acme, owner=alice, state="ready", duration_ms=42_000, width=320, height=180, title="Take",
        video_path="x/video.mp4", poster_path="x/poster.jpg", thumbnail_path="x/thumbnail.jpg",
    )  # fmt: skip


@pytest.fixture
def draft(alice, video, acme):
    EmailProvider.objects.create(organization=acme, host="mail.example", port=587)
    return drafts.create(alice, video)


def save(client, draft, **fields):
    draft.refresh_from_db()
    values = {
        "version": draft.draft_version,
        "video": draft.video.code,
        "subject": "Hello",
        "to": [],
        "bcc": [],
        **fields,
    }
    return client.post(f"/messages/{draft.code}/draft", json.dumps(values), content_type="application/json")


def alert_of(answer):
    """Return the banner of a compose page that says why nothing was sent."""
    return re.search(r'role="alert">.*?</ul>', answer.content.decode(), re.S)[0]


def people(count, word="p"):
    return [{"name": "", "address": f"{word}{n}@many.example"} for n in range(count)]


class TestLimits:
    @pytest.mark.req("R376")
    def test_twenty_recipients_are_sent_and_the_21st_is_refused_before_anything_is(self, signed_in, alice, draft):
        client = signed_in(alice)
        save(client, draft, to=people(21))
        answer = client.post(f"/messages/{draft.code}/send", follow=True)
        assert answer.redirect_chain == [(f"/messages/{draft.code}/edit?refused=mail", 302)]
        assert "To holds 21 addresses; at most 20 are allowed. Take 1 out." in answer.content.decode()
        assert not Delivery.objects.exists()
        draft.refresh_from_db()
        assert (draft.status, len(draft.draft["to"])) == ("draft", 21)  # nothing typed is lost
        save(client, draft, to=people(20))
        assert client.post(f"/messages/{draft.code}/send").status_code == 302
        assert Delivery.objects.count() == 20

    @pytest.mark.req("R377")
    def test_twenty_bcc_are_sent_and_the_21st_is_refused_before_anything_is(self, signed_in, alice, draft):
        client = signed_in(alice)
        save(client, draft, to=people(20), bcc=people(21, "b"))
        answer = client.post(f"/messages/{draft.code}/send", follow=True)
        assert "Bcc holds 21 addresses" in answer.content.decode()
        assert not Delivery.objects.exists()
        save(client, draft, to=people(20), bcc=people(20, "b"))
        client.post(f"/messages/{draft.code}/send")
        assert Delivery.objects.filter(kind="bcc").count() == 20


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"to": []}, "Nobody is named yet"),
        ({"to": [{"address": "nonsense"}]}, "is not one e-mail address"),
        ({"to": people(1) + people(1)}, "in the list twice"),
        ({"to": people(1), "bcc": [{"address": "P0@MANY.example"}]}, "in the list twice"),
        ({"to": people(1), "subject": "  "}, "The subject is empty"),
        ({"to": people(1), "reply_to": "x"}, "The reply address cannot be used"),
        ({"to": people(1), "video": ""}, "There is no video"),
        ({"to": [{"address": "a@x.example, b@x.example"}]}, "is not one e-mail address"),
    ],
)
def test_what_stands_against_sending_is_said_and_nothing_goes(signed_in, alice, draft, fields, words):
    client = signed_in(alice)
    saved = save(client, draft, **fields)
    assert saved.json()["ready"] is False
    answer = client.post(f"/messages/{draft.code}/send", follow=True)
    assert words in alert_of(answer)
    assert not Delivery.objects.exists()


@pytest.mark.req("R422")
def test_without_a_mail_server_nothing_is_sent_and_it_says_why(signed_in, alice, draft):
    EmailProvider.objects.all().delete()
    client = signed_in(alice)
    save(client, draft, to=people(1))
    answer = client.post(f"/messages/{draft.code}/send", follow=True)
    assert "has no mail server yet" in alert_of(answer)
    # Mailing by hand needs none.
    save(client, draft, to=[])
    answer = client.post(f"/messages/{draft.code}/send", {"by_hand": "yes"}, follow=True)
    assert "Nobody is named yet" in alert_of(answer)
    assert "mail server" not in alert_of(answer)


def test_a_video_that_is_not_ready_is_waited_for(signed_in, alice, draft, video):
    Video.objects.update(state="processing")
    client = signed_in(alice)
    save(client, draft, to=people(1))
    assert "still being converted" in alert_of(client.post(f"/messages/{draft.code}/send", follow=True))


class TestSaving:
    def test_a_stale_tab_is_told_and_changes_nothing(self, signed_in, alice, draft):
        client = signed_in(alice)
        assert save(client, draft, subject="One").json()["version"] == 1
        stale = {"version": 0, "subject": "Two", "to": [], "bcc": [], "video": ""}
        answer = client.post(f"/messages/{draft.code}/draft", json.dumps(stale), content_type="application/json")
        assert answer.status_code == 409
        assert "another tab" in answer.json()["error"]
        draft.refresh_from_db()
        assert draft.subject == "One"

    def post_save(self, client, draft, number, subject, page="a" * 32, version=0):
        fields = {
            "version": version,
            "save_id": f"{page}.{number}",
            "subject": subject,
            "to": people(1),
            "bcc": [],
            "video": draft.video.code,
        }
        answer = client.post(f"/messages/{draft.code}/draft", json.dumps(fields), content_type="application/json")
        draft.refresh_from_db()
        return answer

    def test_an_answer_that_was_lost_is_no_conflict_whatever_was_typed_since(self, signed_in, alice, draft):
        client = signed_in(alice)
        for number, subject in enumerate(["One", "One", "One and two"], 1):
            answer = self.post_save(client, draft, number, subject)
            assert (answer.status_code, answer.json()["version"], draft.subject) == (200, number, subject)

    def test_a_save_that_arrives_late_undoes_nothing(self, signed_in, alice, draft):
        client = signed_in(alice)
        self.post_save(client, draft, 2, "Newer")
        assert self.post_save(client, draft, 1, "Older").status_code == 409
        assert draft.subject == "Newer"

    @pytest.mark.parametrize("page", ["b" * 32, "", "A" * 32, "a" * 31])
    def test_another_page_is_still_told(self, signed_in, alice, draft, page):
        client = signed_in(alice)
        self.post_save(client, draft, 1, "One", page=page)
        assert self.post_save(client, draft, 2, "Two").status_code == 409
        assert draft.subject == "One"

    def test_a_new_take_is_a_change_from_elsewhere(self, signed_in, alice, acme, draft):
        client = signed_in(alice)
        self.post_save(client, draft, 1, "One")
        other = Video.objects.create(organization=acme, owner=alice)
        client.post("/messages/new", {"video": other.code, "message": draft.code})
        assert self.post_save(client, draft, 2, "Two", version=1).status_code == 409
        assert draft.video == other

    def test_send_of_another_version_sends_nothing(self, signed_in, alice, draft):
        client = signed_in(alice)
        save(client, draft, to=people(1))
        answer = client.post(f"/messages/{draft.code}/send", {"version": "0"})
        assert answer["Location"] == f"/messages/{draft.code}/edit"
        assert not Delivery.objects.exists()

    @pytest.mark.abuse("A7")
    def test_what_is_written_is_cleaned(self, signed_in, alice, draft):
        text = (
            '<p onclick="x()">Hi <script>alert(1)</script><img src=x onerror=y><a href="javascript:z">a</a>'
            '<a href="//evil.example">b</a><a href="https://good.example/">c</a></p><iframe src="//e"></iframe><style>p{}</style>'
        )
        save(signed_in(alice), draft, text_html=text)
        draft.refresh_from_db()
        for bad in ("onclick", "script", "img", "javascript", "//evil", "iframe", "style"):
            assert bad not in draft.text_html
        assert '<a href="https://good.example/"' in draft.text_html

    @pytest.mark.abuse("A5")
    def test_line_breaks_never_reach_a_header(self, signed_in, alice, draft):
        save(
            signed_in(alice),
            draft,
            subject="Hello\r\nBcc: spy@evil.example",
            to=[{"name": "A\nB", "address": "a@x.example"}],
        )
        draft.refresh_from_db()
        assert draft.subject == "Hello  Bcc: spy@evil.example"
        assert draft.draft["to"][0]["name"] == "A B"

    @pytest.mark.parametrize("body", ["", "[]", "{}", '{"version": "x"}', "null", "\xff"])
    def test_nonsense_is_answered_in_words(self, signed_in, alice, draft, body):
        answer = signed_in(alice).post(f"/messages/{draft.code}/draft", body, content_type="application/json")
        assert answer.status_code == 400
        assert answer.json()["error"].endswith(".")

    @pytest.mark.parametrize("size", [49_994, 200_001, 3_000_000])
    def test_a_text_that_is_too_long_is_refused_in_words_that_keep_it(self, signed_in, alice, draft, size):
        client = signed_in(alice)
        answer = save(client, draft, text_html="x" * size)
        assert answer.status_code == 413
        assert "It stays here; shorten it to 50,000 characters" in answer.json()["error"]
        assert "eload" not in answer.json()["error"]
        fits = "<p>" + "ж" * 49_993 + "</p>"
        assert save(client, draft, text_html=fits).status_code == 200
        draft.refresh_from_db()
        assert draft.text_html == fits

    def test_a_nul_is_no_error(self, signed_in, alice, draft):
        client = signed_in(alice)
        row = {"name": "A\0B", "address": "a@x.example\0"}
        saved = save(client, draft, subject="a\0b", text_html="<p>a\0b</p>", to=[row], reply_to="\0", video="x\0")
        assert saved.status_code == 200
        for path in ("/messages/", "/recipients/search", "/videos/"):
            assert client.get(path, {"q": "ab\0"}).status_code == 200

    def test_somebody_elses_video_is_not_taken(self, signed_in, alice, bob, draft, acme):
        other = Video.objects.create(organization=acme, owner=bob)
        save(signed_in(alice), draft, video=other.code)
        draft.refresh_from_db()
        assert draft.video is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Retake"),
        ({"state": "failed", "error": "No picture in it."}, "Record again"),
        ({"deleted_at": "2026-01-01T00:00Z"}, "Record a video"),
    ],
)
def test_a_new_take_comes_back_to_this_draft(signed_in, alice, draft, changes, words):
    client = signed_in(alice)
    save(client, draft, subject="Long thoughts", to=people(1))
    Video.objects.update(**changes)
    page = client.get(f"/messages/{draft.code}/edit").content.decode()
    (way,) = re.findall(r'<a[^>]*href="([^"]*/record/[^"]*)"[^>]*>(?:(?!</a>).)*' + words, page, re.S)
    recorder = client.get(way).content.decode()
    assert f'data-message="{draft.code}"' in recorder
    take = Video.objects.create(organization=draft.organization, owner=alice)
    assert (
        client.post("/messages/new", {"video": take.code, "message": draft.code})["Location"]
        == f"/messages/{draft.code}/edit"
    )
    draft.refresh_from_db()
    assert (draft.video, draft.subject, len(draft.draft["to"])) == (take, "Long thoughts", 1)


class TestTestMail:
    def state(self, client, **changes):
        Delivery.objects.update(**changes)
        return client.get(f"/tests/{Delivery.objects.get().code}", HTTP_ACCEPT="application/json")

    @pytest.mark.parametrize(
        ("changes", "ended", "words"),
        [
            ({}, False, ""),
            ({"state": "accepted", "reply_code": 250, "reply_text": "ok"}, True, "was accepted by the mail server."),
            ({"state": "dropped", "reply_code": 552, "reply_text": "too big"}, True, "was not sent: “552 too big”"),
            ({"state": "error", "error_description": "Given up."}, True, "was not sent: Given up."),
            ({"state": "in_doubt", "error_description": "It may have arrived."}, True, "It may have arrived."),
        ],
    )
    def test_what_became_of_it_is_told(self, signed_in, alice, draft, changes, ended, words):
        client = signed_in(alice)
        url = client.post(f"/messages/{draft.code}/test").json()["state_url"]
        answer = self.state(client, **changes)
        assert url == answer.wsgi_request.path
        assert answer.json()["ended"] is ended
        assert answer.json()["said"].endswith(words)

    def test_a_stopped_mail_server_is_told(self, signed_in, alice, draft):
        client = signed_in(alice)
        client.post(f"/messages/{draft.code}/test")
        EmailProvider.objects.update(stopped_at=timezone.now(), stopped_reason="The password is wrong.")
        said = self.state(client).json()
        assert said["said"] == "The test to alice@acme.test waits for your mail server: The password is wrong."
        assert (said["ended"], said["good"]) == (False, False)

    def test_nobody_else_is_told(self, signed_in, alice, bob, draft):
        signed_in(alice).post(f"/messages/{draft.code}/test")
        assert self.state(signed_in(bob)).status_code == 404
        client = signed_in(alice)
        assert self.state(client, state="bounced").status_code == 200
        Message.objects.filter(is_test=True).update(is_test=False)
        assert self.state(client).status_code == 404


def test_without_scripts_a_form_is_enough(signed_in, alice, video, acme):
    EmailProvider.objects.create(organization=acme, host="mail.example", port=587)
    client = signed_in(alice)
    page = client.post("/messages/new", {"video": video.code})
    code = page["Location"].split("/")[2]
    form = {
        "to": "Anna <anna@torvald.example>, kofi@asante.example",
        "bcc": "mara@lindqvist.example",
        "subject": "Hello",
        "text_html": "Line one\n\nLine <two>",
        "video": video.code,
    }
    answer = client.post(f"/messages/{code}/send", form)
    assert answer["Location"] == f"/messages/{code}/"
    message = Message.objects.get()
    assert message.text_html == "<p>Line one</p><p>Line &lt;two&gt;</p>"
    assert list(message.deliveries.values_list("name", "address", "kind")) == [
        ("Anna", "anna@torvald.example", "primary"),
        ("", "kofi@asante.example", "primary"),
        ("", "mara@lindqvist.example", "bcc"),
    ]
    page = client.get(f"/messages/{code}/").content.decode()
    assert re.search(r"<button[^>]*>\s*Undo\s*</button>", page)
    assert client.post(f"/messages/{code}/undo")["Location"] == f"/messages/{code}/edit"
    assert "anna@torvald.example" in client.get(f"/messages/{code}/edit").content.decode()
    assert not Delivery.objects.exists()


class TestPages:
    def sent(self, draft, to, subject="Hello"):
        draft = drafts.create(draft.sender, draft.video)
        drafts.save(draft, DraftFields(version=0, to=to, subject=subject, video=draft.video.code))
        return composing.send(draft)

    def test_lists_search_and_count_people(self, signed_in, alice, bob, draft, django_assert_max_num_queries):
        message = self.sent(
            draft, [ParsedAddress("Anna Torvald", "anna@torvald.example"), ParsedAddress("", "kofi@asante.example")]
        )
        Delivery.objects.filter(name="Anna Torvald").update(state="accepted", played_at=timezone.now())
        for number in range(30):
            self.sent(draft, [ParsedAddress("", f"x{number}@many.example")], f"Number {number}")
        client = signed_in(alice)
        with django_assert_max_num_queries(12):
            page = client.get("/messages/")
        assert len(page.context["page"].object_list) == 25
        for words in ("Torvald", "asante", "hello"):
            found = client.get("/messages/", {"q": words, "show": "sent"}).context["page"].object_list
            assert [row.pk for row in found][-1:] == [message.pk], words
        (row,) = client.get("/messages/", {"q": "torvald"}).context["page"].object_list
        assert (row.summary.watched, row.summary.total) == (1, 2)
        assert list(client.get("/messages/?show=drafts").context["page"].object_list) == [draft]
        assert not client.get("/messages/", {"q": "address"}).context["page"].object_list
        client.force_login(bob)
        assert not client.get("/messages/").context["page"].object_list

    def test_rows_come_only_when_something_changed(self, signed_in, alice, draft):
        message = self.sent(draft, [ParsedAddress("Anna", "anna@torvald.example")])
        client = signed_in(alice)
        first = client.get(f"/messages/{message.code}/rows")
        seen = re.search(r"seen=(\w+)", first.content.decode())[1]
        assert client.get(f"/messages/{message.code}/rows?seen={seen}").status_code == 204
        Delivery.objects.update(state="bounced", reply_code=550, reply_text="5.1.1 <b>gone</b>")
        after = client.get(f"/messages/{message.code}/rows?seen={seen}")
        assert after.status_code == 200
        assert "550 5.1.1 &lt;b&gt;gone&lt;/b&gt;" in after.content.decode()

    def waiting(self, client, draft, **changes):
        """Return the page of a message to Anna, who got it and watched, and Ben, whose mail waits like `changes` say."""
        message = self.sent(
            draft, [ParsedAddress("Anna", "anna@torvald.example"), ParsedAddress("Ben", "ben@x.example")]
        )
        Message.objects.filter(pk=message.pk).update(send_after=timezone.now())
        Delivery.objects.update(next_at=timezone.now())
        Delivery.objects.filter(name="Anna").update(state="accepted", played_at=timezone.now())
        Delivery.objects.filter(name="Ben").update(**changes)
        return client.get(f"/messages/{message.code}/").content.decode()

    def test_one_mail_that_waits_hides_nothing(self, signed_in, alice, draft):
        client = signed_in(alice)
        later = timezone.now() + timedelta(hours=1)
        for changes in ({"state": "deferred", "next_at": later}, {"state": "queued", "next_at": later}):
            page = self.waiting(client, draft, **changes)
            assert "1 of 2 people watched" in page
            assert "One mail still waits." in page
            assert "Stop the rest" in page
            assert re.findall(r'(?s)data-copy-link.*?class="vh">, (\w+)<', page) == ["Anna", "Ben"]
            assert "every 1s" not in page
            Delivery.objects.all().delete()
        EmailProvider.objects.update(stopped_at=timezone.now(), stopped_reason="The password is wrong.")
        page = self.waiting(client, draft, state="queued")
        assert "1 of 2 people watched" in page
        assert "every 1s" not in page

    def test_while_mails_go_out_the_page_asks_often(self, signed_in, alice, draft):
        page = self.waiting(signed_in(alice), draft, state="queued")
        assert "every 1s" in page
        assert "1 of 2 people watched" in page
        assert re.findall(r'(?s)data-copy-link.*?class="vh">, (\w+)<', page) == ["Anna"]

    def test_before_anything_has_left_no_link_can_be_copied(self, signed_in, alice, draft):
        message = self.sent(draft, [ParsedAddress("Anna", "anna@torvald.example")])
        Delivery.objects.update(state="deferred")
        assert "data-copy-link" not in signed_in(alice).get(f"/messages/{message.code}/").content.decode()

    def test_drafts_can_be_deleted_and_sent_ones_used_again(self, signed_in, alice, draft):
        client = signed_in(alice)
        message = self.sent(draft, [ParsedAddress("Anna", "anna@torvald.example")])
        assert client.post(f"/messages/{message.code}/delete").status_code == 404
        again = client.post(f"/messages/{message.code}/duplicate")["Location"].split("/")[2]
        assert Message.objects.get(code=again).draft["to"][0]["address"] == "anna@torvald.example"
        client.post(f"/messages/{draft.code}/delete")
        assert not Message.objects.filter(pk=draft.pk).exists()

    @pytest.mark.abuse("A45")
    def test_previews_run_nothing_and_count_nothing(self, signed_in, alice, draft):
        client = signed_in(alice)
        for kind in ("mail", "landing"):
            answer = client.get(f"/messages/{draft.code}/preview/{kind}", {"as": "Anna <b>Torvald</b>"})
            assert "script-src 'none'" in answer["Content-Security-Policy"]
            assert "sandbox" in answer["Content-Security-Policy"]
            assert "Anna" in answer.content.decode()
            assert "<b>Torvald" not in answer.content.decode()

    def test_home_says_what_is_to_do_and_who_watched(self, signed_in, alice, draft, django_assert_max_num_queries):
        self.sent(draft, [ParsedAddress("Anna", "anna@torvald.example")])
        Delivery.objects.update(played_at=timezone.now())
        client = signed_in(alice)
        with django_assert_max_num_queries(14):
            page = client.get("/").content.decode()
        assert "1 of 1 person watched" in page
        assert "Write a signature" in page
        assert re.search(r"<a[^>]*>(?:(?!</a>).)*Record\s*</a>", page, re.S)
        assert re.search(r"<button[^>]*>(?:(?!</button>).)*Upload a video\s*</button>", page, re.S)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna <anna@x.example>", [("Anna", "anna@x.example")]),
        ('"Torvald, Anna" <anna@x.example>', [("Torvald, Anna", "anna@x.example")]),
        ("Torvald, Anna <anna@x.example>", [("Torvald, Anna", "anna@x.example")]),
        ("a@x.example, b@x.example;c@x.example\nd@x.example\te@x.example", [("", f"{n}@x.example") for n in "abcde"]),
        ("a@x.example b@x.example", [("", "a@x.example"), ("", "b@x.example")]),
        ("mailto:a@x.example", [("", "a@x.example")]),
        ("<a@X.EXAMPLE>,,;", [("", "a@x.example")]),
        ('"ceo@bank.example" <a@x.example>', [("", "a@x.example")]),
        ("Größe <ü@bücher.example>", [("Größe", "ü@xn--bcher-kva.example")]),
        ("Anna <a@x.example> Ben <b@x.example>", [("Anna", "a@x.example"), ("Ben", "b@x.example")]),
        ("<a@x.example><b@x.example>", [("", "a@x.example"), ("", "b@x.example")]),
        (
            "Anna <a@x.example> b@x.example c@x.example",
            [("Anna", "a@x.example"), ("", "b@x.example"), ("", "c@x.example")],
        ),
        ("Torvald, Anna <a@x.example> Ben <b@x.example>", [("Torvald, Anna", "a@x.example"), ("Ben", "b@x.example")]),
        ('"A > <B>" <a@x.example> "Ben" <b@x.example>', [("A > <B>", "a@x.example"), ("Ben", "b@x.example")]),
        ("a@x.example <A@x.example>", [("a@x.example", "A@x.example")]),
        ("'a@x.example' <mailto:a@x.example>", [("a@x.example", "a@x.example")]),
        ("", []),
    ],
)
def test_lists_as_people_paste_them(signed_in, alice, text, expected):
    answer = signed_in(alice).post("/recipients/parse", json.dumps({"text": text}), content_type="application/json")
    assert [(row["name"], row["address"]) for row in answer.json()["recipients"]] == expected
    assert not any(row["problem"] for row in answer.json()["recipients"])


@pytest.mark.parametrize(
    "text",
    [
        "a@x.example <b@x.example>",
        "a@x.example Ben <b@x.example>",
        "Anna, a@x.example <b@x.example>",
        "Anna <a@x.example> (Acme)",
        "Ben <Ben <b@x.example>",
        "a@x.example> <b@x.example>",
    ],
)
def test_nobody_is_left_out_of_a_list_that_can_be_read_in_two_ways(signed_in, alice, draft, text):
    client = signed_in(alice)
    answer = client.post("/recipients/parse", json.dumps({"text": text}), content_type="application/json")
    rows = answer.json()["recipients"]
    assert any(row["problem"] for row in rows)
    kept = " ".join(f"{row['name']} {row['address']}" for row in rows)
    assert set(re.findall(r"\w+@x", text)) == set(re.findall(r"\w+@x", kept))
    # Also after a reload, and when it is sent, it is what it was.
    save(client, draft, to=rows)
    client.post(f"/messages/{draft.code}/send")
    assert not Delivery.objects.exists()


def test_a_list_without_end_is_read_at_once(signed_in, alice):
    for text in ("<" * 20_000, "a" * 20_000, '"' * 19_999, "<a@x.example>" * 1_500, 'a"' * 9_999):
        started = time.perf_counter()
        recipients.parse(text)
        assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("a@gmial.com", "a@gmail.com"),
        ("a@hotnail.com", "a@hotmail.com"),
        ("a@acme.con", "a@acme.com"),
        ("a@gmail.com", ""),
        ("a@example.test", ""),
    ],
)
def test_probable_typing_mistakes(address, meant):
    assert recipients.suggest(address) == meant


@pytest.mark.abuse("A20")
@time_machine.travel(timezone.now(), tick=False)  # all of it within one minute
def test_search_finds_own_people_only_and_is_limited(signed_in, alice, acme, globex):
    from accounts.models import Person

    Person.objects.create(organization=acme, user_id="a", first_name="Anna", last_name="Own", email="anna@own.example")
    Person.objects.create(
        organization=globex, user_id="b", first_name="Anna", last_name="Other", email="anna@other.example"
    )
    client = signed_in(alice)
    found = client.get("/recipients/search", {"q": "anna"}).json()["results"]
    assert [row["address"] for row in found] == ["anna@own.example"]
    assert client.get("/recipients/search", {"q": "a"}).json()["results"] == []
    statuses = {client.get("/recipients/search", {"q": "anna"}).status_code for _n in range(125)}
    assert 429 in statuses


class TestConfigureSmtp:
    def configure(self, capsys, **options):
        call_command(
            "configure_smtp",
            **{"organization": "acme", "host": "smtp.acme.test", "port": 587, "security": "starttls", **options},
        )
        return json.loads(capsys.readouterr().out)

    @pytest.mark.req("R364", "R366", "R369", "R388")
    def test_an_operator_sets_and_replaces(self, acme, capsys, monkeypatch, tmp_path, signed_in, ada):
        monkeypatch.setenv("SMTP_PASSWORD", "canary-password")
        authority = tmp_path / "ca.pem"
        authority.write_bytes(trustme.CA().cert_pem.bytes())
        said = self.configure(
            capsys, user="pitch", password_env="SMTP_PASSWORD", ca_file=str(authority), from_address="pitch@acme.test"
        )
        assert (said["host"], said["port"], said["password"]) == ("smtp.acme.test", 587, True)
        assert EmailProvider.objects.get().ca_bundle == authority.read_text().strip()
        assert "canary" not in json.dumps(said)
        self.configure(capsys, host="mail.acme.test", port=465, security="ssl")
        provider = EmailProvider.objects.get()
        assert (provider.host, provider.port, provider.security, provider.password) == (
            "mail.acme.test",
            465,
            "ssl",
            "",
        )
        page = signed_in(ada).get(reverse("admin:messaging_emailprovider_change", args=[provider.pk]))
        assert page.status_code == 200
        assert "notes" in client_text(signed_in(ada).get(reverse("admin:accounts_organization_change", args=[acme.pk])))

    @pytest.mark.parametrize(
        "host", [".example.com", "mail..example.test", f"{'a' * 64}.test", "smtp example", "1.2.3.4.5"]
    )
    def test_a_typing_mistake_in_the_host_is_said(self, acme, capsys, host):
        with pytest.raises(CommandError, match="is no host name") as caught:
            self.configure(capsys, host=host)
        assert host in str(caught.value)
        assert not EmailProvider.objects.exists()

    @pytest.mark.parametrize("host", ["mailpit", "mail_server", "smtp.müller.example", "127.0.0.1", "::1"])
    def test_hosts_that_can_be_looked_up_are_taken(self, acme, capsys, host):
        assert self.configure(capsys, host=host)["host"] == host

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"garbage", "cannot be read. It must be PEM text"),
            (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "cannot be read. It must be PEM text"),
            ("# Müller CA\n".encode(), "letters beyond ASCII"),
            (b"\xff\x00\x80", "is no PEM text"),
            (b" \n", "is empty"),
        ],
    )
    def test_an_authority_that_no_connection_could_use_is_said(self, acme, capsys, tmp_path, content, words):
        authority = tmp_path / "ca.pem"
        authority.write_bytes(content)
        with pytest.raises(CommandError, match=re.escape(words)):
            self.configure(capsys, ca_file=str(authority))
        assert not EmailProvider.objects.exists()

    def test_what_was_switched_off_is_on_again_under_the_new_name(self, acme, capsys):
        self.configure(capsys)
        EmailProvider.objects.update(is_active=False)
        self.configure(capsys, host="mail.acme.test")
        provider = EmailProvider.objects.get()
        assert (provider.is_active, provider.name) == (True, "mail.acme.test")
        assert providers.resolve(acme) == provider

    def test_a_name_somebody_gave_stays_while_the_host_stays(self, acme, capsys):
        self.configure(capsys)
        EmailProvider.objects.update(name="Our relay")
        self.configure(capsys, port=465, security="ssl")
        assert EmailProvider.objects.get().name == "Our relay"

    def test_no_tls_is_refused_unless_allowed(self, acme, capsys, settings):
        with pytest.raises(CommandError, match="SMTP_ALLOW_PLAINTEXT"):
            self.configure(capsys, security="none")
        assert not EmailProvider.objects.exists()
        settings.SMTP_ALLOW_PLAINTEXT = True
        assert self.configure(capsys, security="none")["security"] == "none"

    def test_limits_and_connections_are_set_and_replaced(self, acme, capsys):
        said = self.configure(capsys, limit=["30/minute", "10000/day"], max_connections=3)
        assert (said["limits"], said["max_connections"]) == (["30/minute", "10000/day"], 3)
        provider = EmailProvider.objects.get()
        assert provider.max_connections == 3
        assert dict(provider.limits.values_list("seconds", "amount")) == {60: 30, 86400: 10000}
        for wrong in ("30", "30/week", "0/minute", "-1/minute", "x/minute", "30/minute/2", "²/minute"):
            with pytest.raises(CommandError, match=r"is no limit. Write mails/span"):
                self.configure(capsys, limit=[wrong])
        with pytest.raises(CommandError, match="two limits for one minute"):
            self.configure(capsys, limit=["30/minute", "40/minute"])
        with pytest.raises(CommandError, match="64"):
            self.configure(capsys, max_connections=65, limit=["1/hour"])
        assert provider.limits.count() == 2, "what is refused changes nothing"
        said = self.configure(capsys)
        assert (said["limits"], said["max_connections"]) == ([], 4)
        assert not provider.limits.exists()

    def test_what_is_missing_is_named(self, acme, capsys):
        with pytest.raises(CommandError, match="no organization “nobody”"):
            self.configure(capsys, organization="nobody")
        with pytest.raises(CommandError, match="NOT_SET is empty"):
            self.configure(capsys, password_env="NOT_SET")

    def test_a_sender_mode_is_set_and_what_it_lacks_is_said(self, acme, capsys, alice):
        with pytest.raises(CommandError, match="needs the default sender address"):
            self.configure(capsys, sender_mode="on-behalf")
        said = self.configure(capsys, sender_mode="on-behalf", from_address="pitch@acme.test")
        assert said["senderMode"] == EmailProvider.objects.get().sender_mode == "on-behalf"
        call_command("configure_smtp", organization="acme", host="x.example", port=587, security="starttls")
        out, err = capsys.readouterr()
        assert json.loads(out)["senderMode"] == "send-as"
        assert "acme.test, which is not among the verified domains" in err

    def test_what_cannot_work_is_refused(self, acme, capsys, tmp_path):
        (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        with pytest.raises(CommandError, match="It must be PEM text"):
            self.configure(capsys, ca_file=str(tmp_path / "ca.pem"))
        with pytest.raises(CommandError, match="is no host name"):
            self.configure(capsys, host="smtp.acme.test:587")
        assert not EmailProvider.objects.exists()
        self.configure(capsys, host="10.1.2.3", port=2500)  # the operator may name any


def client_text(answer):
    return answer.content.decode().lower()


@pytest.mark.req("R374")
def test_nobody_is_asked_for_a_mail_password(signed_in, alice):
    client = signed_in(alice)
    for path in ("/", "/profile/", "/profile/signature/", "/messages/", "/messages/new"):
        assert 'type="password"' not in client.get(path).content.decode()


def test_a_colleague_cannot_read_a_draft(signed_in, acme, draft):
    client = signed_in(make_user(acme, "mallory"))
    assert client.get(f"/messages/{draft.code}/edit").status_code == 404
    assert save(client, draft).status_code == 404
