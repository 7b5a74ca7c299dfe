"""The SMTP settings API of source 4, on both of its addresses: what it takes, what it answers, what it never gives away."""

import ipaddress
import json
import time

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from accounts import ks
from accounts.ks import SessionType
from accounts.models import AuditEntry
from messaging.models import EmailProvider
from messaging.transports import guard
from pitch.lib.logs import scrub
from tests.fakes.mail_server import MailServer, certificate, serve

CONFIG = "/digitanium/v4/mail/config"
SETUP = "/auth/realms/acme/mail/setup"
BOTH = pytest.mark.parametrize("path", [CONFIG, SETUP])
OK = {"message": "Successfully updated SMTP Details", "status": "OK", "subSystem": 8}
MANDATORY = {
    "message": "Host and From is mandatory to update Email Configuration.",
    "status": "BAD_REQUEST",
    "subSystem": 8,
}
UNAUTHORIZED = {"message": "HTTP 401 Unauthorized", "status": "Unauthorized", "subSystem": 8}
# The source's sample, with addresses in place of its asterisks.
SAMPLE = {
    "replyToDisplayName": "Receiver",
    "starttls": "true",
    "port": "587",
    "host": "smtp.gmail.com",
    "replyTo": "answers@acme.test",
    "from": "videos@acme.test",
    "fromDisplayName": "From KC Test team",
    "envelopeFrom": "",
    "ssl": "false",
    "user": "videos@acme.test",
    "password": "canary-5e1b6c",
}
LEAST = {"host": "smtp.relay.example", "from": "videos@acme.test"}


@pytest.fixture
def acme(acme):
    acme.admin_secrets, acme.user_secrets = ["a" * 32], ["u" * 32]
    acme.save()
    return acme


@pytest.fixture
def globex(globex):
    globex.admin_secrets = ["g" * 32]
    globex.save()
    return globex


def session(organization, type=SessionType.ADMIN, user_id="ops@acme.test", **fields):
    return ks.start(organization, type=type, user_id=user_id, **fields)


@pytest.fixture
def call(client, acme):
    """Return a function that calls the API, by default with an ADMIN session of acme."""
    token = session(acme)

    def post(body=SAMPLE, path=CONFIG, *, bearer=token, content_type="application/json", client=client, **headers):
        given = {"authorization": f"Bearer {bearer}"} if bearer else {}
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return client.post(path, data, content_type=content_type, headers=given | headers)

    return post


def refused(answer, code, words=""):
    """Hold an answer against the form of every refusal; returns its message."""
    said = answer.json()
    assert answer.status_code == code, said
    assert set(said) == {"message", "status", "subSystem"}
    assert words in said["message"]
    return said["message"]


# ---- What is taken ---------------------------------------------------------------------------------------------------


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


# ---- What is refused -------------------------------------------------------------------------------------------------


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


# ---- Who may call ----------------------------------------------------------------------------------------------------


def bad_bearers(acme, globex):
    expired = ks.encode(
        "a" * 32, partner_id=4242, type=SessionType.ADMIN, user_id="x", expires_at=int(time.time()) - 1,
        privileges=ks.Privileges(),
    )  # fmt: skip
    forged = ks.encode(
        "wrong" * 8, partner_id=4242, type=SessionType.ADMIN, user_id="x", expires_at=int(time.time()) + 100,
        privileges=ks.Privileges(),
    )  # fmt: skip
    return ["", "nonsense", "a" * 9000, expired, forged, session(acme)[:-8], session(globex)]


@pytest.mark.req("R423", "R425", "R449")
@pytest.mark.abuse("A30", "A11")
def test_every_bad_bearer_gets_the_same_401(call, acme, globex, settings):
    settings.PITCH_BASE_DOMAIN = "pitch.test"
    for path in (CONFIG, SETUP):
        answers = set()
        for bearer in bad_bearers(acme, globex):
            answer = call(path=path, bearer=bearer, host="acme.pitch.test")
            assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
            assert answer["WWW-Authenticate"] == "Bearer"
            del answer.headers["Expires"]  # the second it was made in
            answers.add(str((answer.content, sorted(answer.headers.items()))))
        assert len(answers) == 1
        assert not EmailProvider.objects.exists()
        assert call(path=path, host="acme.pitch.test").json() == OK
        EmailProvider.objects.all().delete()


@pytest.mark.req("R425")
def test_the_scheme_is_read_in_any_case_and_the_session_nowhere_else(call, client, acme):
    token = session(acme)
    for scheme in ("bearer", "BEARER", "KS"):
        assert call(bearer="", authorization=f"{scheme} {token}").json() == OK
    assert call(bearer="", authorization=token).status_code == 401
    assert call(bearer="", path=f"{CONFIG}?ks={token}").status_code == 401
    assert call({**SAMPLE, "ks": token}, bearer="").status_code == 401


@BOTH
@pytest.mark.abuse("A31")
def test_a_user_session_is_not_enough(call, acme, path):
    token = session(acme, SessionType.USER, "jane@acme.test")
    assert refused(call(path=path, bearer=token), 403, "ADMIN session")
    assert not EmailProvider.objects.exists()


@pytest.mark.parametrize("privilege", ["actionslimit:5", "iprestrict:203.0.113.9", "urirestrict:/api/v1/message/*"])
@pytest.mark.abuse("A31")
def test_a_session_with_limits_that_nobody_checks_yet_is_refused(call, acme, privilege):
    assert call(bearer=session(acme, privileges=privilege)).json() == UNAUTHORIZED
    assert call(bearer=session(acme, privileges="edit:7,list:*")).json() == OK


@pytest.mark.req("R427", "R428")
@pytest.mark.abuse("A11")
def test_host_and_path_only_agree_with_the_session(call, acme, globex, settings):
    settings.PITCH_BASE_DOMAIN = "pitch.test"
    for path, host in (
        ("/auth/realms/globex/mail/setup", "pitch.test"),
        ("/auth/realms/5151/mail/setup", "pitch.test"),
        ("/auth/realms/nobody/mail/setup", "pitch.test"),
        (SETUP, "globex.pitch.test"),
        (CONFIG, "globex.pitch.test"),
    ):
        assert call(path=path, host=host).json() == UNAUTHORIZED, (path, host)
    assert not EmailProvider.objects.exists()
    for path, host in (
        (CONFIG, "acme.pitch.test"),
        (SETUP, "acme.pitch.test"),
        (SETUP, "pitch.test"),
        ("/auth/realms/4242/mail/setup", "pitch.test"),
    ):
        assert call(path=path, host=host).json() == OK, (path, host)
    assert EmailProvider.objects.get().organization == acme


@BOTH
@pytest.mark.abuse("A30")
def test_a_cookie_authorizes_nothing_and_a_bearer_needs_no_csrf_token(call, ada, root, path):
    strict = Client(enforce_csrf_checks=True)
    assert call(path=path, client=strict).json() == OK
    EmailProvider.objects.all().delete()
    for user in (ada, root):
        strict.force_login(user, backend="accounts.backends.OrganizationBackend")
        assert call(path=path, client=strict, bearer="").json() == UNAUTHORIZED
    assert not EmailProvider.objects.exists()


@pytest.mark.req("R429")
def test_plain_http_fails_outside_the_demo(call, settings):
    settings.DEMO, settings.SECURE_SSL_REDIRECT = False, True
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.0/8")]
    for path in (CONFIG, SETUP):
        answer = call(path=path, client=Client())
        assert answer.json()["status"] == "FORBIDDEN"
        refused(answer, 403, "https")
        # What somebody says who is not our proxy counts nothing.
        stranger = Client(REMOTE_ADDR="203.0.113.9")
        refused(call(path=path, client=stranger, **{"x-forwarded-proto": "https"}), 403)
        assert not EmailProvider.objects.exists()
        assert call(path=path, client=Client(), **{"x-forwarded-proto": "https"}).json() == OK
        EmailProvider.objects.all().delete()


@pytest.mark.req("R424")
def test_calls_are_not_limited(call):
    assert {call().status_code for _call in range(60)} == {200}


# ---- Answers ---------------------------------------------------------------------------------------------------------


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


# ---- What the settings do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"port": 22}, "port: Port 22 is not allowed for mail here; use one of 25, 465, 587, 2525"),
        ({"host": "127.0.0.1"}, "SMTP_ALLOWED_NETWORKS"),
        ({"host": "169.254.169.254"}, "SMTP_ALLOWED_NETWORKS"),
        ({"host": "::1"}, "SMTP_ALLOWED_NETWORKS"),
        ({"host": "::ffff:10.0.0.1"}, "SMTP_ALLOWED_NETWORKS"),
    ],
)
@pytest.mark.abuse("A3", "A4")
def test_a_program_may_name_what_people_may_name(call, settings, fields, words):
    refused(call({**LEAST, **fields}), 400, words)
    assert not EmailProvider.objects.exists()
    settings.SMTP_ALLOWED_PORTS = [22, 587]
    settings.SMTP_ALLOWED_NETWORKS = [ipaddress.ip_network(network) for network in ("0.0.0.0/0", "::/0")]
    assert call({**LEAST, **fields}).json() == OK


@pytest.mark.abuse("A3")
def test_a_name_that_leads_inside_is_never_connected_to(call, settings, server, ada, signed_in):
    settings.SMTP_ALLOWED_PORTS = [server.port]
    assert call({**LEAST, "host": "localhost", "port": server.port}).json() == OK
    path = reverse("admin:messaging_emailprovider_test", args=[EmailProvider.objects.get().pk])
    page = signed_in(ada).post(path, {"address": "ada@acme.test"}).content.decode()
    assert "SMTP_ALLOWED_NETWORKS" in page
    assert server.connections == 0
    with pytest.raises(guard.Forbidden):
        guard.resolve("localhost", server.port)


@pytest.fixture
def authority():
    return certificate("127.0.0.1")


@pytest.fixture
def server():
    handler = MailServer()
    running = serve(handler)
    yield handler
    running.stop()


@pytest.fixture
def invite(transactional_db, signed_in, ada):
    """Return a function: ada invites somebody, and it returns what the desk says then. The mail goes out at a real commit."""

    def send(email="zoe@acme.test"):
        form = {"organization": ada.organization.pk, "email": email, "name": "Zoe", "role": "editor"}
        return signed_in(ada).post(reverse("admin:accounts_invitation_add"), form, follow=True).content.decode()

    return send


@pytest.fixture
def deliver(call, settings, tmp_path, authority, invite):
    """Return a function that sets up a server with TLS by the API, sends an invitation, and returns (server, mail)."""
    settings.EMAIL_BACKEND = "messaging.system_mail.ProviderEmailBackend"
    issuer, context = authority
    (tmp_path / "ca.pem").write_bytes(issuer.cert_pem.bytes())

    def through(how, **fields):
        server = MailServer()
        running = serve(server, **{how: context})
        settings.SMTP_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
        settings.SMTP_ALLOWED_PORTS = [server.port]
        # The API has no field for an own authority: the operator (or the desk) gives it, and it stays with its host.
        place = {"host": "127.0.0.1", "port": server.port}
        call_command("configure_smtp", organization="acme", security="ssl", ca_file=str(tmp_path / "ca.pem"), **place)
        try:
            assert call({**SAMPLE, **place, "password": "right password", **fields}).json() == OK
            invite("kim@acme.test")
        finally:
            running.stop()
        (mail,) = server.mails
        assert mail.rcpt_to == ["kim@acme.test"]
        return server, mail

    return through


@pytest.mark.req("R422", "R450")
def test_a_notification_goes_through_the_settings_and_without_them_says_why(deliver, invite):
    assert "No mail server is set up" in invite()
    server, mail = deliver("starttls")
    assert server.credentials == [(b"videos@acme.test", b"right password")]
    assert mail.mail_from == "videos@acme.test"
    head = mail.content.split(b"\r\n\r\n")[0].decode().split("\r\n")
    assert "From: From KC Test team <videos@acme.test>" in head
    assert "Reply-To: Receiver <answers@acme.test>" in head


def test_the_sender_mode_stays_as_the_administrators_chose(call):
    call()
    assert EmailProvider.objects.get().sender_mode == "send-as"
    EmailProvider.objects.update(sender_mode="service")
    assert call(LEAST).json() == OK
    assert EmailProvider.objects.get().sender_mode == "service"


@pytest.mark.req("R450")
def test_bounces_go_to_the_envelope_address_and_ssl_is_used_from_the_first_byte(deliver):
    server, mail = deliver("implicit", ssl="true", starttls="false", envelopeFrom="bounces@acme.test", replyTo="")
    assert server.credentials == [(b"videos@acme.test", b"right password")]
    assert mail.mail_from == "bounces@acme.test"
    assert b"Reply-To" not in mail.content
    assert b"Sender:" not in mail.content
