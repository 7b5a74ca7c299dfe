"""`./run` as the contract has it: ready line, health, restarts, a clean end, sentences for what is wrong."""

import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.e2e.running import ROOT, RunningPitch, free_port, wait_until


def processes_of(data: Path) -> dict[int, str]:
    """Return the processes of the installation at `data`: id to command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"PITCH_DATA={data}\0".encode() in environment and state != "Z":
            found[int(folder.name)] = command
    return found


def greeting(port: int) -> bytes:
    """Return what the mail server at `port` says first; nothing while it does not answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as mailbox:
            return mailbox.recv(100)
    except OSError:
        return b""


def start_again(running: RunningPitch) -> subprocess.CompletedProcess:
    """Try a second start on the same data folder."""
    environment = {**running.environment, "PORT": str(free_port())}
    return subprocess.run([ROOT / "run"], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_up_restart_down_and_up_again(tmp_path):
    running = RunningPitch(tmp_path).start()
    try:
        assert running.output[-1] == f"Pitch is ready: {running.url}  sign in as demo@acme.test / {running.password}"
        assert running.url == f"http://127.0.0.1:{running.port}"
        assert stat.S_IMODE((tmp_path / "demo-password").stat().st_mode) == 0o600
        assert running.health() == (200, {"status": "ok", "database": "ok", "queue": "ok", "storage": "ok"})

        # A second one on the same data folder is refused with a sentence.
        second = start_again(running)
        assert second.returncode == 1
        assert "another Pitch runs on the data folder" in second.stderr

        # Each child, killed, comes back by itself.
        for word in ("granian", "run_worker", "run_mailbox"):
            victims = [pid for pid, command in processes_of(tmp_path).items() if word in command]
            assert victims, word
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            wait_until(
                lambda word=word, victims=victims: [
                    pid for pid, command in processes_of(tmp_path).items() if word in command and pid not in victims
                ],
                20,
            )
        wait_until(lambda: running.health()[0] == 200, 40)
        wait_until(lambda: greeting(running.mailbox_port).startswith(b"220 "))
        password = running.password
    finally:
        code = running.stop()
    assert code == 0
    assert processes_of(tmp_path) == {}

    if running.servers.admin.startswith("postgres"):
        return  # its database went with it; what follows is about processes and the same on both
    again = RunningPitch(tmp_path).start(30)
    try:
        assert again.password == password
        # The launcher itself killed: nothing of it works on.
        os.kill(again.process.pid, signal.SIGKILL)
        again.process.wait(10)
        wait_until(lambda: processes_of(tmp_path) == {}, 30)
    finally:
        for pid in processes_of(tmp_path):
            os.kill(pid, signal.SIGKILL)


def refuse(tmp_path, **settings):
    """Start with bad settings; returns what was said."""
    running = RunningPitch(tmp_path, **settings)
    done = subprocess.run(
        [ROOT / "run"], env=running.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_taken_port_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refuse(tmp_path, PORT=str(port))
    assert re.search(rf"port {port} is taken.*PORT={port + 1} \./run", said)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"PORT": "http"}, "PORT is “http”; it must be a whole number."),
        ({"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL must"),
        ({"PITCH_MODE": "staging"}, "PITCH_MODE is “staging”; it must be one of: demo, production."),
        ({"PITCH_MODE": "production"}, "PITCH_BASE_URL is not set"),
        (
            {"PITCH_MODE": "production", "PITCH_BASE_URL": "http://pitch.example.test"},
            "PITCH_BASE_URL must begin with https://",
        ),
        ({"PITCH_MODE": "production", "PITCH_BASE_URL": "https://pitch.example.test"}, "PITCH_SECRET_KEY must have"),
        ({"PITCH_LINK_KEYS": "short"}, "PITCH_LINK_KEYS needs"),
        ({"PITCH_ENCRYPTION_KEYS": "nonsense"}, "PITCH_ENCRYPTION_KEYS holds something that is no key"),
        ({"SMTP_ALLOWED_NETWORKS": "inside"}, "SMTP_ALLOWED_NETWORKS must be networks"),
    ],
)
def test_a_bad_setting_is_named(tmp_path, given, words):
    assert words in refuse(tmp_path, **given)
