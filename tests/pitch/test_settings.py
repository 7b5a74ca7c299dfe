"""A start with a bad setting stops with a sentence that names it; a good production start has no warnings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.e2e.running import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def start(tmp_path):
    """Return a function that runs `check --deploy` as production; keyword arguments replace settings."""
    good = {
        "PATH": os.environ["PATH"],
        "PITCH_MODE": "production",
        "PITCH_DATA": str(tmp_path),
        "PITCH_BASE_URL": "https://pitch.example.org",
        "PITCH_SECRET_KEY": "abcdefghij" * 6,
        "PITCH_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "PITCH_LINK_KEYS": "k" * 32,
    }

    def run(**changes):
        command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
        return subprocess.run(command, cwd=ROOT, env={**good, **changes}, capture_output=True, text=True, check=False)

    return run


def test_production_starts_without_a_warning(start):
    done = start()
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PITCH_MODE", "test"),
        ("PORT", "eighty"),
        ("PITCH_BASE_URL", ""),
        ("PITCH_BASE_URL", "http://pitch.example.org"),  # the demo's plain http
        ("PITCH_BASE_URL", "https://[x"),
        ("PITCH_BASE_URL", "https://pitch.example.org:port"),
        ("PITCH_BASE_URL", "https://pitch.example.org/path"),
        ("PITCH_BASE_URL", "https://pitch..example.org"),
        ("PITCH_BASE_URL", "https://pitch.example.org?x"),
        ("PITCH_BASE_DOMAIN", "http://x"),
        ("PITCH_BASE_DOMAIN", "pitch.example.org:8000"),
        ("PITCH_ALLOWED_HOSTS", "other.example.org,https://pitch.example.org"),
        ("PITCH_FROM_EMAIL", "notanaddress"),
        ("MEDIA_ACCEL_PREFIX", "foo"),
        ("FFMPEG", "/nonexistent"),
        ("FFMPEG", "/etc/passwd"),
        ("PITCH_SECRET_KEY", ""),
        ("PITCH_SECRET_KEY", "short"),
        ("PITCH_ENCRYPTION_KEYS", ""),
        ("PITCH_ENCRYPTION_KEYS", "short"),
        ("PITCH_LINK_KEYS", ""),
        ("PITCH_LINK_KEYS", "short"),
        ("DATABASE_URL", "mysql://host/name"),
        ("REDIS_URL", "http://host"),
        ("SMTP_ALLOWED_NETWORKS", "inside"),
        ("SMTP_ALLOWED_PORTS", "99999"),
        ("TRUSTED_PROXIES", "proxy"),
        ("PITCH_LANGUAGE", "klingon"),
        ("PITCH_TIME_ZONE", "Mars/Base"),
        ("LOG_LEVEL", "LOUD"),
        ("METRICS_TOKEN", "short"),
    ],
)
def test_a_bad_value_stops_the_start_with_a_sentence(start, name, value):
    done = start(**{name: value})
    assert done.returncode == 78, done.stderr
    assert done.stderr.startswith("Pitch cannot start: ")
    assert name in done.stderr
    assert done.stderr.rstrip().count("\n") == 0


@pytest.mark.parametrize("mode", ["demo", "production"])
@pytest.mark.parametrize("folder", ["/proc/x", "{file}/x"])
def test_a_data_folder_that_cannot_be_is_named(start, tmp_path, folder, mode):
    (tmp_path / "file").touch()
    done = start(PITCH_MODE=mode, PITCH_DATA=folder.format(file=tmp_path / "file"))
    assert done.returncode == 78
    assert done.stderr.startswith("Pitch cannot start: PITCH_DATA is ")
    assert done.stderr.rstrip().count("\n") == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PITCH_BASE_URL", "https://pitch.example.org:8443"),
        ("PITCH_BASE_URL", "https://[2001:db8::1]:8443"),
        ("PITCH_BASE_DOMAIN", ".pitch.example.org"),
        ("PITCH_ALLOWED_HOSTS", ".example.org,10.0.0.1,[::1]"),
        ("PITCH_FROM_EMAIL", "Pitch <pitch@example.org>"),
        ("MEDIA_ACCEL_PREFIX", "/protected-media/"),
        ("FFMPEG", sys.executable),
    ],
)
def test_values_that_can_be_used_are_taken(start, name, value):
    done = start(**{name: value})
    assert done.returncode == 0, done.stderr


def test_a_program_that_is_no_ffmpeg_stops_the_launcher(tmp_path):
    env = {"PATH": os.environ["PATH"], "PITCH_MODE": "demo", "PITCH_DATA": str(tmp_path), "FFMPEG": sys.executable}
    ports = {"PORT": str(free_port()), "MAILBOX_PORT": str(free_port())}
    command = [sys.executable, "-m", "pitch.launcher"]
    done = subprocess.run(command, cwd=ROOT, env=env | ports, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "is no ffmpeg that works" in done.stderr


def test_redis_may_be_a_socket(start):
    assert start(REDIS_URL="unix:///run/redis/redis.sock").returncode == 0
