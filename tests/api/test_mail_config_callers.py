"""Who may call the SMTP settings API: an ADMIN session of the organization, over https, and nobody else."""

import ipaddress
import time

import pytest
from django.test import Client

from accounts import ks
from accounts.ks import SessionType
from messaging.models import EmailProvider
from tests.api.mail_config_world import CONFIG, OK, SAMPLE, SETUP, UNAUTHORIZED, refused, session

BOTH = pytest.mark.parametrize("path", [CONFIG, SETUP])


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
