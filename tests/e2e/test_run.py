"""`./run` as the contract has it: ready line, health, restarts, a clean end, sentences for what is wrong."""

import os
import re
import secrets
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests
from aiosmtpd.controller import Controller
from cryptography.fernet import Fernet

from pitch import clusters
from tests.e2e.proxy import Proxy
from tests.e2e.running import ROOT, RunningPitch, free_port, wait_until
from tests.e2e.test_worker_killed import Counting, send_to


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
        # Ready by its own work, not by what the last run said a moment ago.
        assert len(list((tmp_path / "signs").glob("*/*/done"))) == len(clusters.NAMES)
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
    try:
        done = subprocess.run(
            [ROOT / "run"], env=running.environment, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        running.servers.give_back()
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


def test_one_number_for_two_ports_is_refused(tmp_path):
    port = str(free_port())
    assert f"PORT and MAILBOX_PORT are both {port}" in refuse(tmp_path, PORT=port, MAILBOX_PORT=port)


def test_a_folder_that_is_no_virtual_environment_is_left_alone(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    environment = {**os.environ, "PITCH_VENV": str(precious)}
    done = subprocess.run([ROOT / "run"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "no virtual environment. Set PITCH_VENV to another place." in done.stderr
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_production_comes_up_and_says_so(tmp_path):
    """No demo account, no mailbox; health answers by address though the host is another's."""
    running = RunningPitch(
        tmp_path,
        PITCH_MODE="production",
        PITCH_BASE_URL="https://pitch.example.test",
        PITCH_SECRET_KEY=secrets.token_urlsafe(64),
        PITCH_ENCRYPTION_KEYS=Fernet.generate_key().decode(),
        PITCH_LINK_KEYS=f"1:{secrets.token_hex(32)}",
    ).start()
    try:
        assert running.output[-1] == "Pitch is ready: https://pitch.example.test"
        answer = requests.get(f"http://127.0.0.1:{running.port}/healthz", timeout=10)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        answer = requests.get(f"http://127.0.0.1:{running.port}/accounts/login/", timeout=10)
        assert answer.status_code == 400
        assert greeting(running.mailbox_port) == b""
    finally:
        assert running.stop() == 0
    assert processes_of(tmp_path) == {}


def test_a_child_that_cannot_live_takes_the_whole_down_with_a_sentence(tmp_path):
    """The mailbox's folder is a file: it ends at each start."""
    (tmp_path / "mailbox").write_text("in the way")
    said = refuse(tmp_path)
    assert "Pitch stops: mailbox ended 5 times within a minute" in said
    assert processes_of(tmp_path) == {}


def test_ctrl_c_while_a_mail_server_does_not_answer(tmp_path, take):
    """The pump waits for the last reply, which may take ten minutes; the stop does not, and leaves nobody behind."""
    server = Counting()
    release = threading.Event()
    server.on_copy[1] = lambda: release.wait(60)
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    running = RunningPitch(tmp_path, SMTP_ALLOW_PLAINTEXT="true").start()
    try:
        send_to(running, controller.port, take, ["one@stall.example"])
        wait_until(lambda: server.copies, 60)
        begun = time.monotonic()
    finally:
        code = running.stop()
        took = time.monotonic() - begun
        release.set()
        controller.stop()
    assert code == 0
    assert took < 20
    assert processes_of(tmp_path) == {}


def children_of(pid: int) -> list[int]:
    """Return the processes that `pid` started and that live."""
    return [int(word) for word in (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()]


def parts_of(data: Path, cluster: str) -> list[int]:
    """Return the guard of a cluster and, in the order they were started, its workers, monitor and pusher; else nothing."""
    named = f"Q_CLUSTER_NAME={cluster}\0".encode()
    try:
        for pid, command in processes_of(data).items():
            if "qcluster" in command and os.getpgid(pid) == pid and named in Path(f"/proc/{pid}/environ").read_bytes():
                (guard,) = children_of(pid)
                parts = [guard, *sorted(children_of(guard))]
                return parts if len(parts) == 5 else []
    except (OSError, ValueError):
        pass  # one of them ended while we looked
    return []


def has_left(running: RunningPitch, mark: Path) -> bool:
    """Say whether a task was done; if not, wake it once more, as the sweep does: a queue may lose what a dead process held."""
    if not mark.exists():
        wake = f"from pitch.lib.queue import wake; wake('tests.e2e.marks.leave', {str(mark)!r})"
        running.manage("shell", "--no-imports", "-c", wake)
    return mark.exists()


def test_any_part_of_the_queue_killed_comes_back(tmp_path):
    """django-q2's guard, each of its workers, its monitor and its pusher, one after another; none may end the queue for good."""
    running = RunningPitch(tmp_path).start()
    try:
        # The guard (all start anew), then the monitor, the pusher and both workers: who is started again comes last.
        for number, place in enumerate([0, 3, 3, 1, 1]):
            parts = wait_until(lambda: parts_of(tmp_path, "pitch"), 60)
            os.kill(parts[place], signal.SIGKILL)
            mark = tmp_path / f"mark{number}"
            wait_until(lambda mark=mark: has_left(running, mark), 60, every=2)
            wait_until(lambda: running.health()[0] == 200, 60)
    finally:
        assert running.stop() == 0
    assert processes_of(tmp_path) == {}


def test_the_broker_away_for_a_moment(tmp_path):
    """Redis restarts: the health check says so, and everything goes on by itself."""
    if not os.environ.get("REDIS_URL"):
        pytest.skip("this run has no Redis: its broker is the database")
    running = RunningPitch(tmp_path)
    proxy = Proxy(running.environment["REDIS_URL"])
    running.environment["REDIS_URL"] = proxy.address
    running.start()
    try:
        worker = [pid for pid, command in processes_of(tmp_path).items() if "run_worker" in command]
        proxy.close()
        wait_until(lambda: running.health()[0] == 503, 60)
        proxy.open()
        wait_until(lambda: running.health()[0] == 200, 90)
        assert processes_of(tmp_path).keys() >= set(worker)
        assert running.process.poll() is None
    finally:
        assert running.stop() == 0
        proxy.close()
    assert processes_of(tmp_path) == {}
