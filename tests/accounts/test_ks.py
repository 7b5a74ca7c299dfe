"""The Kaltura session: both formats as clients make them, everything that must be refused, and what is never told."""

import base64
import contextlib
import hashlib
import logging
import random
import struct
import sys
from datetime import UTC, datetime

import pytest
import time_machine
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from django.db import OperationalError, connection
from django.views.debug import ExceptionReporter
from hypothesis import given
from hypothesis import strategies as st

from accounts import ks
from accounts.ks import KSError, Reason, SessionType
from accounts.ks_privileges import Privileges
from pitch.lib.logs import PrivateFilter

SECRET = "0123456789abcdef0123456789abcdef"
USER_SECRET = "fedcba9876543210fedcba9876543210"
NOW = 1795000000
LATER = 1795227436

# Made offline by the official Python client with SECRET: partner 4242, USER, jane@example.com, actionslimit:2.
V1 = (
    "ZTg2YmFhMjE2YjE2ODNiY2Q5NTk3MjkzYjZhNWYzM2NiYmUwNGFlMHw0MjQyOzQyNDI7MTc5NTIyNzQzNjswOzE4MTM5O2phbmVAZXhhbXBsZS5j"
    "b207YWN0aW9uc2xpbWl0OjI="
)
V2 = (
    "djJ8NDI0Mnw9Zq1vnag_rRLfP11YwyLnvj9VwCFN7GDtWde_qS5erc_5CiduUCX-sGvFzjbh_BedCCa1-67XW8whJykG78HLW1Uf2Ni-hy2DntLe"
    "hx1z_Wjlne6pKI_FD9eWjc2MVuY="
)
V1_SIGNATURE = "e86baa216b1683bcd9597293b6a5f33cbbe04ae0"
V2_SIGNATURE = "8a97d3b863206f823679029e6080d45472d7cba6"


def sign_v1(info: str | bytes, secret: str = SECRET) -> str:
    """Return a v1 KS over `info`, right or wrong, as a client of that time signs it."""
    info = info.encode() if isinstance(info, str) else info
    signature = hashlib.sha1(secret.encode() + info).hexdigest().encode()
    return base64.b64encode(signature + b"|" + info).decode()


def seal_v2(fields: str | bytes, secret: str = SECRET, partner: str = "4242") -> str:
    """Return a v2 KS over a query string, right or wrong."""
    body = bytes(range(16)) + (fields.encode() if isinstance(fields, str) else fields)
    plain = hashlib.sha1(body).digest() + body
    plain += bytes(-len(plain) % 16)
    encryptor = Cipher(AES(hashlib.sha1(secret.encode()).digest()[:16]), CBC(bytes(16))).encryptor()
    return base64.urlsafe_b64encode(f"v2|{partner}|".encode() + encryptor.update(plain) + encryptor.finalize()).decode()


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(datetime.fromtimestamp(NOW, UTC), tick=False) as clock:
        yield clock


@pytest.fixture
def acme(acme):
    """acme with one secret of each kind."""
    acme.admin_secrets, acme.user_secrets = [SECRET], [USER_SECRET]
    acme.save()
    return acme


def reason_of(token: str) -> Reason:
    with pytest.raises(KSError) as refused:
        ks.read(token)
    return refused.value.reason


class TestFormats:
    @pytest.mark.req("C1")
    def test_v2_as_the_official_client_makes_it(self, acme):
        organization, session = ks.read(V2)
        assert organization == acme
        assert (session.partner_id, session.type, session.user_id) == (4242, SessionType.USER, "jane@example.com")
        assert (session.expires_at, session.signature) == (LATER, V2_SIGNATURE)
        assert str(session.privileges) == "actionslimit:2"
        assert not session.is_admin

    @pytest.mark.req("C2")
    def test_v1_as_the_official_client_makes_it(self, acme, settings):
        organization, session = ks.read(V1)
        assert organization == acme
        assert (session.partner_id, session.type, session.user_id) == (4242, SessionType.USER, "jane@example.com")
        assert (session.expires_at, session.signature) == (LATER, V1_SIGNATURE)
        assert str(session.privileges) == "actionslimit:2"
        settings.KS_ACCEPT_V1 = False
        assert reason_of(V1) == Reason.INVALID_STR
        assert ks.read(V2)[0] == acme

    @pytest.mark.req("C1")
    def test_one_session_in_either_alphabet_with_and_without_padding(self, acme):
        standard = V2.replace("-", "+").replace("_", "/")
        assert standard != V2
        for token in (V2, standard, V2.rstrip("="), standard.rstrip("="), f" {V2}\n"):
            assert ks.read(token)[1].signature == V2_SIGNATURE
        url_safe = base64.urlsafe_b64encode(base64.b64decode(V1)).decode().rstrip("=")
        assert ks.read(url_safe)[1].signature == V1_SIGNATURE

    def test_the_fields_that_kalturas_server_adds_are_taken_and_left_aside(self, acme):
        _organization, old = ks.read(sign_v1(f"4242;4242;{LATER};2;1795.25;jane;edit:1;99;more"))
        _organization, new = ks.read(seal_v2(f"edit=1&_e={LATER}&_t=2&_u=jane&_m=99&_d=more"))
        for session in (old, new):
            assert (session.type, session.user_id, str(session.privileges)) == (SessionType.ADMIN, "jane", "edit:1")
            assert session.is_admin

    def test_a_user_beyond_ascii_with_plus_and_space_is_read(self, acme):
        for token in (
            sign_v1(f"4242;4242;{LATER};0;1;jäne+ö x@example.com;"),
            seal_v2(f"_e={LATER}&_t=0&_u=j%C3%A4ne%2B%C3%B6+x%40example.com"),
        ):
            session = ks.read(token)[1]
            assert session.user_id == "jäne+ö x@example.com"
            assert session.privileges == Privileges()

    def test_no_user_at_all_is_read(self, acme):
        assert ks.read(seal_v2(f"_e={LATER}&_t=2"))[1].user_id == ""
        assert ks.read(sign_v1(f"4242;4242;{LATER};2;1;;*"))[1].user_id == ""

    @pytest.mark.parametrize("token", [V1, V2])
    def test_a_session_ends_in_its_last_second(self, acme, _clock, token):
        _clock.move_to(datetime.fromtimestamp(LATER - 1, UTC))
        assert ks.read(token)[1].expires_at == LATER
        _clock.move_to(datetime.fromtimestamp(LATER, UTC))
        assert reason_of(token) == Reason.EXPIRED

    @pytest.mark.req("C5")
    def test_expired_means_now_or_earlier(self, acme):
        assert ks.read(seal_v2(f"_e={NOW + 1}&_t=0&_u=jane"))[1].expires_at == NOW + 1
        assert reason_of(seal_v2(f"_e={NOW}&_t=0&_u=jane")) == Reason.EXPIRED
        assert reason_of(sign_v1(f"4242;4242;{NOW - 1};0;1;jane;")) == Reason.EXPIRED


class TestSecrets:
    @pytest.mark.req("C3")
    def test_each_secret_of_the_list_is_good_until_it_is_taken_out(self, acme):
        acme.admin_secrets = ["an older secret", SECRET, "ein jüngeres Geheimnis"]
        acme.save()
        for secret in acme.admin_secrets:
            assert ks.read(seal_v2(f"_e={LATER}&_t=2", secret))[0] == acme
            assert ks.read(sign_v1(f"4242;4242;{LATER};2;1;;", secret))[0] == acme
        acme.admin_secrets = acme.admin_secrets[1:]
        acme.save()
        assert reason_of(seal_v2(f"_e={LATER}&_t=2", "an older secret")) == Reason.INVALID_STR
        assert ks.read(V2)[0] == acme

    @pytest.mark.parametrize(
        ("make", "fields"), [(seal_v2, "_e={}&_t={}&_u=jane"), (sign_v1, "4242;4242;{};{};1;jane;")]
    )
    def test_the_user_secret_makes_no_admin(self, acme, make, fields):
        assert ks.read(make(fields.format(LATER, 0), USER_SECRET))[1].type is SessionType.USER
        assert reason_of(make(fields.format(LATER, 2), USER_SECRET)) == Reason.INVALID_TYPE
        assert ks.read(make(fields.format(LATER, 2), SECRET))[1].is_admin

    def test_wrong_secret_unknown_and_switched_off_partner_look_the_same(self, acme, globex):
        fields = f"_e={LATER}&_t=2"
        assert reason_of(seal_v2(fields, "another secret")) == Reason.INVALID_STR
        assert reason_of(sign_v1(f"4242;4242;{LATER};2;1;;", "another secret")) == Reason.INVALID_STR
        assert reason_of(seal_v2(fields, partner="77")) == Reason.INVALID_STR
        assert reason_of(seal_v2(fields, partner="5151")) == Reason.INVALID_STR
        acme.is_active = False
        acme.save()
        assert reason_of(V2) == Reason.INVALID_STR

    def test_another_partners_number_does_not_open_their_house(self, acme, globex):
        globex.admin_secrets = ["globex's own secret"]
        globex.save()
        for token in (V1, V2):
            raw = base64.b64decode(token.replace("-", "+").replace("_", "/"))
            assert reason_of(base64.b64encode(raw.replace(b"4242", b"5151")).decode()) == Reason.INVALID_STR


class TestRefused:
    @pytest.mark.parametrize(
        "token",
        [
            "",
            " ",
            "=",
            "====",
            "d",
            "djJ8",
            "ünïcode",
            "\0",
            "\ud800",
            "null",
            V2[:-5],
            V2[4:],
            V2 + V2,
            V2[:40] + "=" + V2[40:],
            V2[:40] + "*" + V2[40:],
            V2[:40] + "\n" + V2[40:],
            "A" * 8193,
            "A" * 1_000_000,
            base64.b64encode(b"v2|4242|").decode(),
            base64.b64encode(b"v2|4242").decode(),
            base64.b64encode(b"v2||" + bytes(32)).decode(),
            base64.b64encode(b"v2|4242|" + bytes(17)).decode(),
            base64.b64encode(b"v2|4242|" + bytes(16)).decode(),
            base64.b64encode(b"v3|4242|" + bytes(32)).decode(),
            base64.b64encode(b"|4242;4242").decode(),
            base64.b64encode(V1_SIGNATURE.upper().encode() + base64.b64decode(V1)[40:]).decode(),
            base64.b64encode(base64.b64decode(V1)[:40]).decode(),
        ],
    )
    def test_what_is_no_ks(self, acme, token):
        assert reason_of(token) == Reason.INVALID_STR

    def test_a_good_one_that_is_longer_than_any_header(self, acme):
        assert ks.read(seal_v2(f"_e={LATER}&_t=0&_u={'j' * 6000}"))[0] == acme
        assert reason_of(seal_v2(f"_e={LATER}&_t=0&_u={'j' * 6100}")) == Reason.INVALID_STR

    @pytest.mark.parametrize(
        "partner", ["0", "-1", "+4242", " 4242", "4242 ", "4_242", "٤٢٤٢", "4242.0", "*", "2147483648", "9" * 400, ""]
    )
    def test_a_partner_that_is_no_plain_number(self, acme, partner):
        assert reason_of(seal_v2(f"_e={LATER}&_t=0", partner=partner)) == Reason.INVALID_STR
        assert reason_of(sign_v1(f"{partner};{partner};{LATER};0;1;;")) == Reason.INVALID_STR

    @pytest.mark.parametrize(
        "fields",
        [
            "",
            "&",
            "_e",
            "_t=0&_u=jane",
            f"_e={LATER}&_u=jane",
            "_e=&_t=0&_u=jane",
            "_e=-5&_t=0",
            f"_e=+{LATER}&_t=0",
            f"_e={LATER}.5&_t=0",
            "_e=1_795_227_436&_t=0",
            f"_e={'9' * 5000}&_t=0",
            "_e=253402300800&_t=0",
            f"_e={LATER}&_t=0&_u=jane&_u=boss",
            f"_t=2&_e={LATER}&_t=0&_u=jane",
            f"_u=boss&_e={LATER}&_t=0&_u=jane",
            f"_x=1&_e={LATER}&_t=0&_u=jane",
            f"=1&_e={LATER}&_t=0&_u=jane",
            f"a:b=1&_e={LATER}&_t=0&_u=jane",
            f"a=1%2C*&_e={LATER}&_t=0&_u=jane",
            f"a%2C*=1&_e={LATER}&_t=0&_u=jane",
            f"a=%00&_e={LATER}&_t=0&_u=jane",
            f"_e={LATER}&_t=0&_u=jane%00",
            f"_e={LATER}&_t=0&_u=jane%0D%0Aboss",
            f"_e={LATER}&_t=0&_u=%FF%FE",
            f"_e={LATER}&_t=0&_u=%ED%A0%80",
            b"_e=1795227436&_t=0&_u=\xff",
        ],
    )
    def test_signed_v2_that_no_client_makes(self, acme, fields):
        assert reason_of(seal_v2(fields)) == Reason.INVALID_STR

    @pytest.mark.parametrize(
        "info",
        [
            "4242",
            f"4242;4242;{LATER}",
            f"4242;4242;{LATER};0;1;jane",
            f"4242;4242;{LATER};0;1;ja;ne;edit:1",
            f"4242;4242;{LATER};0;1;jane;a;b;c",
            f"4242;4242;{LATER};0;1;jane;edit:1;99;more;and more",
            f"4242;5151;{LATER};0;1;jane;",
            f"4242;*;{LATER};0;1;jane;",
            "4242;4242;;0;1;jane;",
            "4242;4242;-5;0;1;jane;",
            f"4242;4242;{LATER};0;1;jane;_t:2",
            f"4242;4242;{LATER};0;1;ja\0ne;",
            f"4242;4242;{LATER};0;1;ja\x7fne;",
            f"4242;4242;{LATER};0;1;ja\x85ne;",
            f"4242;4242;{LATER};0;1;jane;edit:1\n",
            b"4242;4242;1795227436;0;1;j\xe4ne;",
        ],
    )
    def test_signed_v1_that_no_client_makes(self, acme, info):
        assert reason_of(sign_v1(info)) == Reason.INVALID_STR

    @pytest.mark.parametrize("type_", ["1", "-1", "3", "00", "", "2.0", "ADMIN", "٢"])
    def test_a_type_that_is_neither_user_nor_admin(self, acme, type_):
        assert reason_of(seal_v2(f"_e={LATER}&_t={type_}&_u=jane")) == Reason.INVALID_TYPE
        assert reason_of(sign_v1(f"4242;4242;{LATER};{type_};1;jane;")) == Reason.INVALID_TYPE

    @pytest.mark.req("C2")
    def test_a_stranger_cannot_lengthen_a_v1_session(self, acme):
        raw = base64.b64decode(V1)
        signature, info = raw[:40].decode(), raw[41:]
        forged, longer = extend_sha1(signature, len(SECRET) + len(info), b",edit:*")
        lengthened = info + longer
        assert hashlib.sha1(SECRET.encode() + lengthened).hexdigest() == forged  # the signature is a good one
        assert reason_of(base64.b64encode(forged.encode() + b"|" + lengthened).decode()) == Reason.INVALID_STR

    @pytest.mark.parametrize("token", [V1, V2])
    def test_no_single_changed_bit_passes(self, token):
        raw = base64.b64decode(token.replace("-", "+").replace("_", "/"))
        for bit in range(len(raw) * 8):
            changed = bytearray(raw)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(KSError):
                verify(base64.b64encode(changed).decode())

    def test_noise_is_refused_and_nothing_else_happens(self):
        noise = random.Random(20261121)
        head = [b"", b"v2|", b"v2|4242|", V1_SIGNATURE.encode() + b"|", V1_SIGNATURE.encode() + b"|4242;4242;"]
        for _try in range(3000):
            raw = noise.choice(head) + noise.randbytes(noise.choice([0, 1, 15, 16, 32, 48, noise.randrange(200)]))
            text = "".join(chr(noise.randrange(0x250)) for _character in range(noise.randrange(60)))
            for token in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), text):
                with pytest.raises(KSError):
                    verify(token)

    def test_signed_noise_is_refused_and_nothing_else_happens(self):
        """Whoever holds a secret may still write nonsense; pieces of the real thing come together by chance."""
        noise = random.Random(20261122)
        pieces = [b"_e=", b"_t=", b"_u=", b"&", b"=", b"%", b";", b"4242", b"1795227436", b"0", b"2", b":", b",", b"\0"]
        for _try in range(3000):
            content = b"".join(noise.choice([*pieces, noise.randbytes(2)]) for _piece in range(noise.randrange(14)))
            for token in (seal_v2(content), sign_v1(b"4242;4242;1795227436;" + content), sign_v1(b"4242;" + content)):
                try:
                    session = verify(token)
                except KSError:
                    continue
                assert session.partner_id == 4242
                assert session.expires_at > NOW

    @given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode()))
    def test_any_text_is_refused(self, token):
        with pytest.raises(KSError):
            verify(token)

    @given(st.binary(max_size=120))
    def test_any_signed_bytes_give_a_session_or_the_one_error(self, content):
        for token in (seal_v2(content), sign_v1(content), sign_v1(b"4242;4242;" + content)):
            with contextlib.suppress(KSError):
                assert verify(token).partner_id == 4242


class TestPrivileges:
    @pytest.mark.req("C6")
    def test_star_is_stored_as_all_and_shown_as_star(self, acme):
        for token in (
            seal_v2(f"all=%2A&_e={LATER}&_t=2&_u="),
            sign_v1(f"4242;4242;{LATER};2;1;;*"),
            ks.start(acme, type=SessionType.ADMIN, user_id="", privileges="*"),
        ):
            session = ks.read(token)[1]
            assert str(session.privileges) == "*"
            assert "*" in session.privileges
            assert "all" not in session.privileges
        assert "all=%2A" in plain_text(ks.start(acme, type=SessionType.ADMIN, user_id="", privileges="list:*,*"))

    @pytest.mark.req("C6")
    def test_values_are_split_at_slashes_but_those_of_urirestrict_at_bars(self, acme):
        text = "sview:0_a/0_b,enableentitlement,urirestrict:/api_v3/*|/api/v1/x,iprestrict:192.0.2.1,later:a:b"
        for token in (
            sign_v1(f"4242;4242;{LATER};0;1;jane;{text}"),
            ks.start(acme, type=SessionType.USER, user_id="jane", privileges=text),
        ):
            privileges = ks.read(token)[1].privileges
            assert str(privileges) == text
            assert privileges.values("sview") == ("0_a", "0_b")
            assert privileges.values("urirestrict") == ("/api_v3/*", "/api/v1/x")
            assert privileges.values("later") == ("a:b",)
            assert privileges.values("enableentitlement") == privileges.values("absent") == ()
            assert "enableentitlement" in privileges
            assert "absent" not in privileges

    def test_spaces_and_empty_parts_go_and_a_repeated_name_keeps_both(self, acme):
        token = ks.start(acme, type=SessionType.USER, user_id="jane", privileges=" edit:1 , ,list:,edit:2/3,")
        privileges = ks.read(token)[1].privileges
        assert str(privileges) == "edit:1,list,edit:2/3"
        assert privileges.values("edit") == ("1", "2", "3")


class TestMade:
    @pytest.mark.req("C10")
    def test_we_make_v2_and_no_privilege_can_stand_for_a_field(self, acme):
        token = ks.start(acme, type=SessionType.USER, user_id="jane", privileges="actionslimit:2")
        assert token.startswith("djJ8")
        for name in ("_e", "_t", "_u", "_m", "_d", "_other"):
            with pytest.raises(ValueError, match="underscore"):
                ks.start(acme, type=SessionType.USER, user_id="jane", privileges=f"edit:1, {name}:2")

    def test_what_is_made_has_a_days_life_and_the_newest_secret(self, acme):
        acme.admin_secrets = [SECRET, "the newest"]
        acme.save()
        token = ks.start(acme, type=SessionType.ADMIN, user_id="jane")
        assert ks.read(token)[1].expires_at == NOW + 86400
        assert ks.read(ks.start(acme, type=SessionType.USER, user_id="", seconds=5))[1].expires_at == NOW + 5
        assert ks.start(acme, type=SessionType.ADMIN, user_id="jane") != token
        acme.admin_secrets = [SECRET]
        acme.save()
        assert reason_of(token) == Reason.INVALID_STR

    def test_without_an_admin_secret_only_user_sessions_are_made(self, acme):
        acme.admin_secrets = []
        acme.save()
        assert ks.read(ks.start(acme, type=SessionType.USER, user_id="jane"))[1].user_id == "jane"
        with pytest.raises(ValueError, match="no secret for ADMIN sessions"):
            ks.start(acme, type=SessionType.ADMIN, user_id="jane")

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"user_id": "ja\0ne"}, "control characters"),
            ({"user_id": "\ud800"}, "control characters"),
            ({"user_id": "j" * 9000}, "too long"),
            ({"privileges": ":2"}, "needs a name"),
            ({"privileges": "edit:\x01"}, "cannot hold"),
            ({"privileges": "edit:" + "1/" * 4000}, "too long"),
            ({"seconds": 0}, "at least a second"),
            ({"seconds": -5}, "at least a second"),
            ({"seconds": 10**12}, "shorter"),
        ],
    )
    def test_what_cannot_be_held_is_refused_in_words(self, acme, asked, said):
        with pytest.raises(ValueError, match=said):
            ks.start(acme, **{"type": SessionType.USER, "user_id": "jane", **asked})

    @given(
        secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        partner_id=st.integers(1, 2**31 - 1),
        type_=st.sampled_from(SessionType),
        user_id=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=100),
        expires_at=st.integers(NOW + 1, ks.MAX_EXPIRY),
        pairs=st.lists(
            st.tuples(
                st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=":,"), min_size=1).filter(
                    lambda name: not name.startswith("_")
                ),
                st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=",")),
            ),
            max_size=6,
        ),
    )
    def test_whatever_we_make_we_read_back(self, secret, partner_id, type_, user_id, expires_at, pairs):
        privileges = Privileges(tuple(pairs))
        token = ks.encode(
            secret, partner_id=partner_id, type=type_, user_id=user_id, expires_at=expires_at, privileges=privileges
        )
        packed = ks.unpack(token)
        assert packed.partner_id == partner_id
        session = ks.verify(packed, admin_secrets=["another", secret], user_secrets=[], now=NOW)
        assert session == ks.Session(partner_id, type_, user_id, expires_at, privileges, session.signature)

    @given(st.text(max_size=80))
    def test_the_text_of_privileges_reads_back_as_itself(self, text):
        try:
            privileges = Privileges.parse(text)
        except ValueError:
            return
        assert Privileges.parse(str(privileges)) == privileges


class TestNeverTold:
    @pytest.mark.req("C11")
    def test_errors_and_reprs_hold_neither_ks_nor_secret(self, acme, _clock):
        organization, session = ks.read(V1)
        said = [repr(session), str(session), repr(organization), repr(ks.unpack(V1)), repr(ks.unpack(V2))]
        _clock.move_to(datetime.fromtimestamp(LATER, UTC))
        for token in (V1, V2, V1[:-9], V2[:-9], V2 + "*", seal_v2("_t=0"), seal_v2("_e=1&_t=7"), "ü" + SECRET):
            with pytest.raises(KSError) as refused:
                ks.read(token)
            assert refused.value.__context__ is refused.value.__cause__ is None
            said += [str(refused.value), repr(refused.value), repr(refused.value.args)]
        assert "actionslimit" not in repr(ks.unpack(V1))
        for text in said:
            for planted in (SECRET, USER_SECRET, V1[:60], V2[8:40], V1_SIGNATURE, V2_SIGNATURE):
                assert planted not in text

    @pytest.mark.req("C11")
    def test_a_database_that_fails_meanwhile_reports_no_ks(self, acme):
        def fail(*_arguments):
            raise OperationalError("The database is away.")

        try:
            with connection.execute_wrapper(fail):
                ks.read(V2)
        except OperationalError:
            report = ExceptionReporter(None, *sys.exc_info())
        frames = [frame for frame in report.get_traceback_frames() if "test_ks" not in frame["filename"]]
        assert "read" in {frame["function"] for frame in frames}
        assert V2 not in str([frame["vars"] for frame in frames])

    @pytest.mark.req("C11")
    def test_the_log_shortens_a_ks_wherever_it_stands(self):
        for token in (V1, V2, V1.rstrip("="), V2.replace("-", "+").replace("_", "/"), V2.replace("=", "%3D")):
            line = f'session.get session={token}, "{token}" refused, /api_v3/index.php?x={token}&y=1'
            record = logging.LogRecord("pitch", logging.INFO, "", 0, "%s", (line,), None)
            assert PrivateFilter().filter(record)
            short = f"{token[:4]}…"
            assert record.getMessage() == (
                f'session.get session={short}, "{short}" refused, /api_v3/index.php?x={short}&y=1'
            )


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (f"Bearer {V2}", V2),
        (f"bearer {V2}", V2),
        (f"BEARER   {V2} ", V2),
        (f"KS {V2}", V2),
        (f"ks {V2}", V2),
        (V2, ""),
        (f"Basic {V2}", ""),
        (f"Bearer{V2}", ""),
        ("Bearer", ""),
        ("", ""),
    ],
)
def test_the_header_carries_a_ks_under_two_names(header, token):
    assert ks.token_of_header(header) == token


def verify(token: str) -> ks.Session:
    """Read a KS as partner 4242 with both kinds of secret, without a database."""
    packed = ks.unpack(token)
    secrets = [SECRET] if packed.partner_id == 4242 else []
    return ks.verify(packed, admin_secrets=secrets, user_secrets=[USER_SECRET], now=NOW)


def plain_text(token: str) -> str:
    """Return the fields inside a v2 KS made with SECRET."""
    decryptor = Cipher(AES(hashlib.sha1(SECRET.encode()).digest()[:16]), CBC(bytes(16))).decryptor()
    cipher_text = base64.urlsafe_b64decode(token).split(b"|", 2)[2]
    return (decryptor.update(cipher_text) + decryptor.finalize())[36:].rstrip(b"\0").decode()


def extend_sha1(digest: str, length: int, more: bytes) -> tuple[str, bytes]:
    """Return the SHA-1 of (unknown message of `length` bytes + padding + more), and padding + more."""

    def turn(number: int, by: int) -> int:
        return (number << by | number >> 32 - by) & 0xFFFFFFFF

    def pad(size: int) -> bytes:
        return b"\x80" + bytes((55 - size) % 64) + struct.pack(">Q", size * 8)

    state = list(struct.unpack(">5I", bytes.fromhex(digest)))
    added = pad(length) + more
    tail = more + pad(length + len(added))
    for start in range(0, len(tail), 64):
        words = list(struct.unpack(">16I", tail[start : start + 64]))
        for i in range(16, 80):
            words.append(turn(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1))
        a, b, c, d, e = state
        for i, word in enumerate(words):
            if i < 20:
                mixed = (b & c | ~b & d) + 0x5A827999
            elif i < 40:
                mixed = (b ^ c ^ d) + 0x6ED9EBA1
            elif i < 60:
                mixed = (b & c | b & d | c & d) + 0x8F1BBCDC
            else:
                mixed = (b ^ c ^ d) + 0xCA62C1D6
            a, b, c, d, e = (turn(a, 5) + mixed + e + word) & 0xFFFFFFFF, a, turn(b, 30), c, d
        state = [(old + new) & 0xFFFFFFFF for old, new in zip(state, (a, b, c, d, e), strict=True)]
    return struct.pack(">5I", *state).hex(), added
