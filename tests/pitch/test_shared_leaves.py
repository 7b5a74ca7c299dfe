"""pitch.lib: the environment, encryption, signing, addresses and log lines."""

import json
import logging
import stat

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from pitch.lib import crypto, keys, signing
from pitch.lib.emails import BadAddress, address_key, normalize
from pitch.lib.env import BadSetting, Environment
from pitch.lib.logs import PrivateFilter


class TestEnvironment:
    @pytest.mark.parametrize(
        ("values", "read", "words"),
        [
            ({"PORT": "eighty"}, lambda env: env.integer("PORT", 1), "PORT is “eighty”"),
            ({"PORT": "70000"}, lambda env: env.integer("PORT", 1, maximum=65535), "between 0 and 65535"),
            ({"X": "perhaps"}, lambda env: env.boolean("X"), "X is “perhaps”; write true or false"),
            ({"M": "test"}, lambda env: env.choice("M", ("demo", "production"), "demo"), "one of: demo, production"),
            ({"U": "ftp://h"}, lambda env: env.url("U"), "U is “ftp://h”"),
            ({"U": "https://"}, lambda env: env.url("U"), "an address like https://host"),
            ({"S_FILE": "/nowhere/at/all"}, lambda env: env.text("S"), "S_FILE names /nowhere/at/all"),
        ],
    )
    def test_bad_value_is_named_in_a_sentence(self, values, read, words):
        with pytest.raises(BadSetting, match=r"\.$") as caught:
            read(Environment(values))
        assert words in str(caught.value)

    def test_empty_means_unset_and_a_file_holds_a_secret(self, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text("from a file\n")
        env = Environment({"A": "", "B_FILE": str(secret), "C": " a, b ,,c "})
        assert env.text("A", "default") == "default"
        assert env.text("B") == "from a file"
        assert env.items("C") == ["a", "b", "c"]


class TestDemoKeys:
    def test_made_once_and_readable_by_the_owner_only(self, tmp_path):
        first = keys.load_or_make(tmp_path)
        assert keys.load_or_make(tmp_path) == first
        assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
        assert not list(tmp_path.glob("*.tmp"))


class TestEncryption:
    def test_wrong_key_fails_loudly_and_a_rotated_one_still_opens(self, settings):
        old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
        settings.PITCH_ENCRYPTION_KEYS = [old]
        token = crypto.encrypt("s3cret")
        settings.PITCH_ENCRYPTION_KEYS = [new, old]
        assert crypto.decrypt(token) == "s3cret"
        rotated = crypto.rotate(token)
        settings.PITCH_ENCRYPTION_KEYS = [new]
        assert crypto.decrypt(rotated) == "s3cret"
        with pytest.raises(crypto.WrongKey, match="PITCH_ENCRYPTION_KEYS"):
            crypto.decrypt(token)

    @pytest.mark.abuse("A41")
    def test_the_database_never_holds_a_secret_in_clear(self, acme):
        acme.admin_secrets = ["planted-admin-secret"]
        acme.save()
        with connection.cursor() as cursor:
            cursor.execute("SELECT admin_secrets FROM accounts_organization WHERE id = %s", [acme.pk])
            stored = cursor.fetchone()[0]
        assert "planted" not in stored
        acme.refresh_from_db()
        assert acme.admin_secrets == ["planted-admin-secret"]


class TestLinks:
    @pytest.mark.abuse("A9", "A27")
    def test_a_token_opens_only_its_own_purpose_and_bears_no_change(self):
        token = signing.sign("landing", "abcdefghjkmnpqrs")
        assert signing.unsign("landing", token) == "abcdefghjkmnpqrs"
        assert signing.unsign("unsubscribe", token) is None
        for position in range(len(token)):
            changed = token[:position] + ("2" if token[position] != "2" else "3") + token[position + 1 :]
            assert signing.unsign("landing", changed) is None
        assert signing.unsign("landing", token + "a") is None
        assert signing.unsign("landing", "é" * len(token)) is None

    def test_an_old_key_keeps_old_links_alive(self, settings):
        settings.PITCH_LINK_KEYS = ["a" * 32]
        old = signing.sign("unsubscribe", "abcdefghjkmnpqrs")
        settings.PITCH_LINK_KEYS = ["a" * 32, "b" * 32]
        assert signing.unsign("unsubscribe", old) == "abcdefghjkmnpqrs"
        assert signing.sign("unsubscribe", "abcdefghjkmnpqrs") != old

    def test_an_end_is_kept(self, time_machine):
        time_machine.move_to("2026-05-01T12:00:00Z")
        mac = signing.sign_until("media", "x", 1777636801)  # one second later
        assert signing.check_until("media", "x", 1777636801, mac)
        assert not signing.check_until("media", "x", 1777636802, mac)
        time_machine.move_to("2026-05-01T12:00:02Z")
        assert not signing.check_until("media", "x", 1777636801, mac)


class TestAddresses:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Anna@Example.TEST", "anna@example.test"),
            ("anna@bücher.example", "ANNA@xn--bcher-kva.example"),
            (" anna@example.test. ", "anna@example.test"),
        ],
    )
    @pytest.mark.abuse("A43")
    def test_variants_have_one_key(self, one, other):
        assert address_key(one) == address_key(other)

    @pytest.mark.parametrize(
        "text", ["", "anna", "a@b, c@d.test", "a@b.test;c@d.test", "a@b.test\r\nBcc: x@y.test", "a@@b.test", "a@-.test"]
    )
    @pytest.mark.abuse("A6")
    def test_anything_but_one_address_is_refused(self, text):
        with pytest.raises(BadAddress):
            normalize(text)

    def test_dots_and_tags_are_kept(self):
        assert address_key("a.b+c@example.test") != address_key("ab@example.test")


class TestLogLines:
    @pytest.mark.abuse("A36", "A10")
    def test_no_secret_and_no_forged_line(self):
        record = logging.LogRecord(
            "x",
            logging.INFO,
            __file__,
            1,
            "to %s password=%s Authorization: Bearer %s GET /v/%s\nFORGED",
            ("anna.torvald@example.test", "hunter2hunter2", "djJ8NDI0Mnw", "abcdefghjkmnpqrs0" + "A" * 22),
            None,
        )
        assert PrivateFilter().filter(record)
        text = record.getMessage()
        for planted in ("anna.torvald", "hunter2", "djJ8NDI0Mnw", "A" * 22, "\n"):
            assert planted not in text
        assert "a…@example.test" in text
        assert json.dumps(text)
