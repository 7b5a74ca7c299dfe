"""What has to be true before the children start: free ports, one instance, tables, assets, the demo's data."""

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

import django
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, OperationalError, connection

from pitch.lib.outages import AWAY
from videos import ffmpeg

_held: list[IO[str]] = []


class Refusal(Exception):
    """A reason not to start, as a sentence that says what to do."""


def hold_data_folder() -> None:
    """Keep the data folder for this instance; raises Refusal if another one runs on it."""
    folder = Path(settings.PITCH_DATA)
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        Path(settings.MEDIA_ROOT).mkdir(parents=True, exist_ok=True)
        lock = (folder / "run.lock").open("w")
    except OSError as err:
        raise Refusal(
            f"the data folder {folder} cannot be written to ({err.strerror}). Set PITCH_DATA to another one."
        ) from err
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        raise Refusal(
            f"another Pitch runs on the data folder {folder}. Stop it, or set PITCH_DATA to another folder."
        ) from err
    _held.append(lock)


def check_port(name: str, port: int) -> None:
    """Raise Refusal if somebody listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as err:
            raise Refusal(
                f"port {port} is taken by another program. Choose another one: {name}={port + 1} ./run"
            ) from err


def prepare() -> str:
    """Have tables, assets and (in the demo) data; returns the demo's password, empty in production.

    Raises Refusal with a sentence for everything that a person can mend.
    """
    django.setup()
    hold_data_folder()
    check_port("PORT", settings.PORT)
    if settings.DEMO:
        if settings.PORT == settings.MAILBOX_PORT:
            raise Refusal(f"PORT and MAILBOX_PORT are both {settings.PORT}; give them different numbers.")
        check_port("MAILBOX_PORT", settings.MAILBOX_PORT)
    else:
        check_production()
    check_ffmpeg()
    try:
        connection.ensure_connection()
    except OperationalError as err:
        raise Refusal(f"the database of DATABASE_URL does not answer: {err}") from err
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as err:
        raise Refusal(
            f"the tables could not be brought up to date: {err} The user of DATABASE_URL must own them. Nothing was started."
        ) from err
    forget_last_run()
    collect_assets()
    password = ""
    if settings.DEMO:
        call_command("load_demo", verbosity=0)
        password = (Path(settings.PITCH_DATA) / "demo-password").read_text(encoding="utf-8").strip()
    connection.close()
    return password


def check_production() -> None:
    """Raise Refusal with what `check --deploy` finds to be an error."""
    try:
        call_command("check", deploy=True, fail_level="ERROR")
    except SystemCheckError as err:
        raise Refusal(f"production is not set up safely.\n{err}") from err


def check_ffmpeg() -> None:
    """Raise Refusal if what would convert the videos does not start, or is something else."""
    try:
        program = ffmpeg.executable()
        done = subprocess.run(
            [program, "-version"], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as err:
        raise Refusal(f"ffmpeg does not start: {err}. Set FFMPEG to one that does.") from err
    if done.returncode or not done.stdout.startswith("ffmpeg version"):
        raise Refusal(f"{program} is no ffmpeg that works. Set FFMPEG to one, or leave it empty for the one of Pitch.")


def forget_last_run() -> None:
    """Take back the last run's signs of life, or the ready line would come by them."""
    from pitch import worker  # knows the settings, which a bad value keeps from being read until `prepare` has said so

    try:
        worker.forget()
    except AWAY as err:
        raise Refusal(f"the broker of REDIS_URL does not answer: {err}") from err


def collect_assets() -> None:
    """Collect static files when something changed since the last start (a few seconds saved on every other one)."""
    newest = max(
        (path.stat().st_mtime_ns for folder in settings.STATICFILES_DIRS for path in Path(folder).rglob("*")), default=0
    )
    requirements = Path(settings.BASE_DIR) / "requirements" / "base.txt"
    stamp_text = f"{newest} {requirements.stat().st_mtime_ns} {sys.version}"
    stamp = Path(settings.STATIC_ROOT) / ".stamp"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == stamp_text:
        return
    call_command("collectstatic", verbosity=0, interactive=False, clear=Path(settings.STATIC_ROOT).exists())
    os.makedirs(settings.STATIC_ROOT, exist_ok=True)
    stamp.write_text(stamp_text, encoding="utf-8")
