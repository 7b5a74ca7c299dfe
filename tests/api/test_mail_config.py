"""The SMTP settings API of source 4, on both of its addresses: what it takes, what it answers."""

import pytest
from django.db import OperationalError, connection
from django.urls import reverse

from accounts.models import AuditEntry
from messaging.models import EmailProvider
from pitch.lib.logs import scrub
from tests.api.mail_config_world import CONFIG, LEAST, MANDATORY, OK, SAMPLE, SETUP, refused, session

BOTH = pytest.mark.parametrize("path", [CONFIG, SETUP])


# ---- What is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.req("R427", "R428", "R442", "R446", "R447")
def test_the_sources_sample_is_taken_as_it_stands_at_both_addresses(call, acme):
    for path in (CONFIG, SETUP):
        EmailProvider.objects.all().delete()
        answer = call(path=path)
        assert (answer.status_code, answer.json()) == (200, OK)
        saved = EmailProvider.objects.get()
        assert (saved.organization, saved.host, saved.port, saved.security) == (acme, "smtp.gmail.com", 587, "starttls")
        assert (saved.user, saved.password) == ("videos@acme.test", "canary-5e1b6c")
        assert (saved.from_name, saved.from_address) == ("From KC Test team", "videos@acme.test")
        assert (saved.reply_to_name, saved.reply_to_address) == ("Receiver", "answers@acme.test")
        assert saved.envelope_from == ""


@pytest.mark.req("R447", "R428")
def test_a_second_call_replaces_the_settings_whichever_address_it_uses(call):
    call(path=CONFIG)
    EmailProvider.objects.update(
        is_active=False, ca_bundle="of gmail", stopped_reason="no", retry_at="2030-01-01T00:00Z"
    )
    assert call({**LEAST, "ssl": True}, path=SETUP).json() == OK
    saved = EmailProvider.objects.get()
    assert (saved.host, saved.port, saved.security, saved.name) == ("smtp.relay.example", 465, "ssl", saved.host)
    assert {saved.user, saved.password, saved.from_name, saved.reply_to_name, saved.reply_to_address} == {""}
    assert (saved.ca_bundle, saved.stopped_reason, saved.retry_at, saved.is_active) == ("", "", None, True)


def holds(call, cases):
    """Hold each field's value against the column it must be stored in."""
    for field, value, column in cases:
        assert call({**LEAST, field: value}).json() == OK, value
        assert getattr(EmailProvider.objects.get(), column) == value


@pytest.mark.req("R431", "R437")
def test_display_names_are_stored(call):
    holds(call, [("replyToDisplayName", "Réception, Acme", "reply_to_name"), ("fromDisplayName", "Team", "from_name")])


@pytest.mark.req("R435", "R436", "R438")
def test_addresses_are_stored(call):
    fields = {"replyTo": "reply_to_address", "from": "from_address", "envelopeFrom": "envelope_from"}
    holds(call, [(field, f"{column}@acme.test", column) for field, column in fields.items()])


@pytest.mark.req("R434", "R440")
def test_host_and_user_are_stored(call):
    hosts = ["smtp.gamil.com", "mailhost", "192.0.2.7.nip.example", "8.8.8.8", "2606:4700::1111", "smtp.example."]
    holds(call, [("host", host, "host") for host in hosts] + [("user", "relay-user", "user")])


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_optional_field_is_one_that_is_not_given(call, empty):
    assert call({**dict.fromkeys(SAMPLE, empty), **LEAST}).json() == OK
    saved = EmailProvider.objects.get()
    assert (saved.envelope_from, saved.security, saved.port) == ("", "starttls", 587)


@pytest.mark.req("R432", "R439")
def test_real_booleans_and_booleans_as_strings(call):
    for flags, security, port in (
        ({"starttls": "true", "ssl": "false"}, "starttls", 587),
        ({"starttls": True, "ssl": False}, "starttls", 587),
        ({"starttls": "false", "ssl": "true"}, "ssl", 465),
        ({"starttls": False, "ssl": True}, "ssl", 465),
        ({"starttls": True}, "starttls", 587),
        ({"ssl": "true"}, "ssl", 465),
        ({"ssl": "false"}, "starttls", 587),
        ({}, "starttls", 587),  # nobody gets mail in the clear for want of a word
    ):
        assert call({**LEAST, **flags}).json() == OK
        saved = EmailProvider.objects.get()
        assert (saved.security, saved.port) == (security, port), flags


@pytest.mark.parametrize("value", ["True", "yes", "1", 1, 0, [], "false "])
@pytest.mark.parametrize("field", ["ssl", "starttls"])
def test_what_is_neither_true_nor_false_is_refused(call, field, value):
    refused(call({**LEAST, field: value}), 400, f"{field}: must be true or false")
    assert not EmailProvider.objects.exists()


def test_both_kinds_of_tls_at_once_are_refused(call):
    for both in (True, "true"):
        refused(call({**SAMPLE, "ssl": both, "starttls": both}), 400, "cannot both be true")
    assert not EmailProvider.objects.exists()


@pytest.mark.abuse("A40")
def test_mail_in_the_clear_needs_the_operator(call, settings):
    plain = {**SAMPLE, "ssl": "false", "starttls": "false"}
    refused(call(plain), 400, "SMTP_ALLOW_PLAINTEXT")
    assert not EmailProvider.objects.exists()
    settings.SMTP_ALLOW_PLAINTEXT = True
    assert call(plain).json() == OK
    assert EmailProvider.objects.get().security == "none"


@pytest.mark.req("R433")
def test_a_port_is_a_number_or_a_string_of_digits_in_range(call):
    for port in (587, "587", 465, "25", "2525"):
        assert call({**LEAST, "port": port}).json() == OK
        assert EmailProvider.objects.get().port == int(port)
    EmailProvider.objects.all().delete()
    for port in ("abc", "0", 0, -25, "65536", 65536, "5e2", 587.0, "٥٨٧", True, [587], "1" * 5000):
        refused(call({**LEAST, "port": port}), 400, "port: must be a number from 1 to 65535")
    assert not EmailProvider.objects.exists()


@pytest.mark.parametrize(
    "host", ["smtp..example", "-x.example", "a b", "x/y", "smtp.example:25", "http://x", "x" * 300]
)
def test_what_is_no_host_is_refused(call, host):
    refused(call({**LEAST, "host": host}), 400, "host: ")
    assert not EmailProvider.objects.exists()


@pytest.mark.req("R430")
def test_no_parameter_is_needed_and_none_is_read(call):
    assert call(path=f"{CONFIG}?host=smtp.evil.example&port=25").json() == OK
    assert EmailProvider.objects.get().host == "smtp.gmail.com"


# ---- What is refused --------------------------------------------------------------------------------------------------


INCOMPLETE = [{**SAMPLE, name: value} for name in ("host", "from") for value in ("", "  ", None)]


@pytest.mark.req("R434", "R436", "R448")
def test_without_host_or_from_nothing_is_stored(call):
    call({**SAMPLE, "host": "smtp.before.example"})
    for body in ({}, {"host": "smtp.relay.example"}, {"from": "a@acme.test"}, *INCOMPLETE):
        for path in (CONFIG, SETUP):
            answer = call(body, path)
            assert (answer.status_code, answer.json()) == (400, MANDATORY), body
    assert EmailProvider.objects.get().host == "smtp.before.example"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (" ", "one JSON object"),
        ("[]", "one JSON object"),
        ("{", "one JSON object"),
        ("[" * 9000, "one JSON object"),
        (b'\xff{"host": "x"}', "one JSON object"),
        ('{"host": "a.example", "host": "b.example", "from": "a@b.test"}', "given twice"),
        ({**LEAST, "auth": "true"}, "no field “auth”"),
        ({**LEAST, "organization": "globex", "id": 1}, "no field “id”"),
        ({**LEAST, "host": 7}, "host: must be a string"),
        ({**LEAST, "user": {"a": 1}}, "user: must be a string"),
        ({**LEAST, "password": "no user"}, "user: "),
        ({**LEAST, "fromDisplayName": "x" * 121}, "fromDisplayName: "),
        ({**LEAST, "user": "x" * 255}, "user: "),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(call, body, words):
    refused(call(body), 400, words)
    assert not EmailProvider.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fromDisplayName", "Acme\r\nBcc: x@evil.example"),
        ("fromDisplayName", "=?UTF-8?Q?=0A?=Bcc: x@evil.example"),
        ("replyToDisplayName", "Acme\x00"),
        ("replyToDisplayName", "\ud800"),
        ("from", "a@acme.test, b@evil.example"),
        ("from", "Acme <a@acme.test>"),
        ("replyTo", "a@acme.test\nBcc: b@evil.example"),
        ("envelopeFrom", "a@acme.test> SIZE=1"),
        ("host", "smtp.example\r\nQUIT"),
        ("user", "a\x00b"),
        ("password", "a\x00b"),
    ],
)
@pytest.mark.abuse("A5", "A6")
def test_nothing_is_smuggled_into_headers_or_commands(call, field, value):
    refused(call({**SAMPLE, field: value}), 400, field)
    assert not EmailProvider.objects.exists()


@pytest.mark.req("R426")
def test_only_json_is_read(call):
    assert call(content_type="application/json; charset=UTF-8").json() == OK
    for wrong in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"):
        answer = call({**SAMPLE, "host": "b.example"}, content_type=wrong)
        refused(answer, 415, "application/json")
    assert EmailProvider.objects.get().host == "smtp.gmail.com"


@pytest.mark.parametrize("size", [20_000, 3_000_000])
@pytest.mark.abuse("A44")
def test_a_long_body_is_refused(call, size):
    refused(call({**SAMPLE, "fromDisplayName": "x" * size}), 413)
    assert not EmailProvider.objects.exists()


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
@BOTH
def test_only_post(client, acme, path, method):
    answer = getattr(client, method)(path, headers={"authorization": f"Bearer {session(acme)}"})
    refused(answer, 405)
    assert answer["Allow"] == "POST"


# ---- Answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("R443", "R444", "R445")
def test_every_answer_has_the_three_fields(call):
    answers = [call(), call({}), call("["), call(bearer="x"), call("x" * 20_000)]
    assert [answer.status_code for answer in answers] == [200, 400, 400, 401, 413]
    for answer in answers:
        said = answer.json()
        assert answer["Content-Type"] == "application/json"
        assert "no-store" in answer["Cache-Control"]
        assert {name: type(value) for name, value in said.items()} == {"message": str, "status": str, "subSystem": int}
        assert said["message"]
        assert said["subSystem"] == 8


@pytest.mark.req("R338")
def test_the_same_call_again_does_no_harm_and_only_an_outage_is_a_5xx(call, monkeypatch):
    for _time in range(4):
        assert call().json() == OK
    (first,) = EmailProvider.objects.values_list("pk", "password")

    def away(*args, **kwargs):
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(EmailProvider, "save", away)
        answer = call({**SAMPLE, "host": "smtp.new.example"})
    refused(answer, 503, "again")
    assert answer["Retry-After"] == "1"
    assert EmailProvider.objects.get().host == "smtp.gmail.com"
    assert call({**SAMPLE, "host": "smtp.new.example"}).json() == OK
    assert EmailProvider.objects.get().pk == first[0]


@pytest.mark.req("R441")
@pytest.mark.abuse("A34", "A36", "A41")
def test_the_password_goes_in_and_never_comes_out(call, acme, caplog, signed_in, ada):
    token = session(acme)
    wrong = [
        {"port": "x"},
        {"ssl": "true"},
        {"password": ["canary-5e1b6c"]},
        {"host": ""},
        {"password": "canary-5e1b6c\n"},
    ]
    answers = [call(), call(bearer=token + "x"), *(call(SAMPLE | change) for change in wrong)]
    assert [answer.status_code for answer in answers] == [200, 401, 400, 400, 400, 400, 400]
    assert EmailProvider.objects.get().password == "canary-5e1b6c"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM messaging_emailprovider")
        row = str(cursor.fetchall())
    page = signed_in(ada).get(reverse("admin:messaging_emailprovider_change", args=[EmailProvider.objects.get().pk]))
    said = [*(answer.content.decode() for answer in answers), row, page.content.decode()]
    said += [str(entry.__dict__) for entry in AuditEntry.objects.all()]
    said += [scrub(record.getMessage()) + str(record.__dict__) for record in caplog.records]
    assert len(caplog.records) >= 6
    for text in said:
        assert "canary" not in text
        assert token[:40] not in text


@pytest.mark.req("R441")
@pytest.mark.abuse("A34")
def test_the_stored_password_is_kept_for_the_same_place_only(call):
    call()
    without = {name: value for name, value in SAMPLE.items() if name != "password"}
    assert call({**without, "replyTo": "new@acme.test"}).json() == OK
    assert EmailProvider.objects.get().password == "canary-5e1b6c"
    for field, value in (("host", "smtp.evil.example"), ("user", "other")):
        call()
        assert call({**without, field: value}).json() == OK
        assert EmailProvider.objects.get().password == ""


def test_the_administrators_log_says_which_session_it_was(call, acme):
    call()
    call(bearer=session(acme, user_id=""))
    call(bearer=session(acme, user_id="x" * 400))
    entries = AuditEntry.objects.filter(action="email provider changed").order_by("id")
    labels = ["API session of ops@acme.test", "API session", f"API session of {'x' * 239}"]
    assert [entry.actor_label for entry in entries] == labels
    assert entries[0].target == "smtp.gmail.com"
    assert entries[0].details == {"port": 587, "security": "starttls"}
    assert {entry.organization for entry in entries} == {acme}
