"""The first steps of a production installation, as docs/running.md has them, and the commands that make its first people."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Invitation, User
from tests.conftest import PASSWORD
from tests.e2e.running import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shell(tmp_path):
    """Return a function that runs a line in a shell, with manage.py as `manage` and nothing of ours in the environment."""

    def run(line, **env):
        known = {"PATH": os.environ["PATH"], "SMTP_PASSWORD": "secret-of-the-relay", "OPERATOR_PASSWORD": PASSWORD}
        manage = f'manage() {{ "{sys.executable}" "{ROOT}/manage.py" "$@"; }}\n'
        return subprocess.run(
            ["/bin/sh", "-ec", manage + line],
            cwd=tmp_path,
            env=known | env,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_make_key_needs_no_key(shell):
    done = shell("manage make_key", PITCH_MODE="production", PITCH_SECRET_KEY="", PITCH_ENCRYPTION_KEYS="")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"[\w-]{43}=\n", done.stdout)


def test_the_documented_first_start_can_be_followed(shell, tmp_path):
    text = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    section = text.split("## Production")[1].split("5. **Start.**")[0].replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in section.splitlines() if line.startswith("        ")]
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text(encoding="utf-8"), encoding="utf-8")
    copy, secret, encryption, link, load, *steps = lines
    assert shell(copy).returncode == 0
    env = (tmp_path / ".env").read_text(encoding="utf-8").replace("/var/lib/pitch", str(tmp_path / "data"))
    for name, line in (("SECRET_KEY", secret), ("ENCRYPTION_KEYS", encryption), ("LINK_KEYS", link)):
        assert name in line
        key = shell(f"set -a; . ./.env; set +a\n{line}".replace("./run manage", "manage")).stdout.strip()
        env = env.replace(f"PITCH_{name}=\n", f"PITCH_{name}={key}\n")
    (tmp_path / ".env").write_text(env, encoding="utf-8")
    assert len(steps) == 6
    for step in steps:
        # Nobody listens there, and no test asks the world outside.
        line = step.replace("./run manage", "manage").replace(
            "smtp.example.org --port 587", f"127.0.0.1 --port {free_port()}"
        )
        if "create_operator" in step:
            line += " --password-env OPERATOR_PASSWORD"
        done = shell(f"{load}\n{line}")
        if "--send" in step:  # there is no such mail server
            assert done.returncode == 1
            assert "/invitation" in done.stdout
            assert "\nCommandError: The mail could not be sent (" in done.stderr
        else:
            assert done.returncode == 0, (step, done.stderr)


@pytest.mark.django_db
class TestCreateOperator:
    def test_an_operator_can_sign_in_and_sees_the_desk(self, client, monkeypatch, capsys):
        monkeypatch.setenv("OPERATOR_PASSWORD", PASSWORD)
        call_command("create_operator", email="Root@Pitch.test", name="Root", password_env="OPERATOR_PASSWORD")
        assert PASSWORD not in capsys.readouterr().out
        assert User.objects.get().is_operator
        client.post("/accounts/login/", {"login": "root@pitch.test", "password": PASSWORD})
        assert client.get("/admin/").status_code == 200

    @pytest.mark.parametrize(
        ("email", "password", "words"),
        [
            ("nobody", PASSWORD, "is not one e-mail address"),
            ("root@pitch.test", "", "OPERATOR_PASSWORD is empty"),
            ("root@pitch.test", "12345", "too short"),
        ],
    )
    def test_what_is_wrong_is_said(self, monkeypatch, email, password, words):
        monkeypatch.setenv("OPERATOR_PASSWORD", password)
        with pytest.raises(CommandError, match=words):
            call_command("create_operator", email=email, password_env="OPERATOR_PASSWORD")
        assert not User.objects.exists()

    def test_a_second_one_with_the_same_address_is_refused(self, root, monkeypatch):
        monkeypatch.setenv("OPERATOR_PASSWORD", PASSWORD)
        with pytest.raises(CommandError, match=r"(?i)root@pitch\.test already"):
            call_command("create_operator", email="ROOT@pitch.test", password_env="OPERATOR_PASSWORD")


def test_an_invitation_that_cannot_be_mailed_still_shows_its_link(acme, settings, capsys):
    settings.EMAIL_BACKEND = "messaging.system_mail.ProviderEmailBackend"
    with pytest.raises(CommandError, match=r"No mail server is set up.*link above"):
        call_command("invite_user", organization="acme", email="ada@acme.test", role="administrator", send=True)
    assert Invitation.objects.get().code in capsys.readouterr().out
