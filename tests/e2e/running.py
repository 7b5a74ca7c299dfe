"""A whole Pitch, started as a newcomer would start it: `./run` with a data folder and ports of its own."""

import atexit
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import psycopg
import redis
import requests

ROOT = Path(__file__).resolve().parent.parent.parent
READY = re.compile(r"^Pitch is ready: (?P<url>\S+)(  sign in as demo@acme\.test / (?P<password>\S+))?$")
TAKEN = "pitch-tests:taken"


def free_port() -> int:
    """Return a port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition, seconds: float = 20.0, every: float = 0.1):
    """Return the first true value of `condition()`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not true within {seconds} s"
        time.sleep(every)  # polling another process: there is nothing to wait on


class Servers:
    """A database and a broker of its own for one installation, on the servers the suite runs on (none: SQLite)."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.admin = environment.get("DATABASE_URL", "")
        self.name = self.broker = ""
        atexit.register(self.give_back)  # whatever a test forgets, or fails before
        if self.admin.startswith("postgres"):
            self.name = f"pitch_e2e_{secrets.token_hex(6)}"
            self.execute(f'CREATE DATABASE "{self.name}"')
            environment["DATABASE_URL"] = f"{self.admin.rpartition('/')[0]}/{self.name}"
        if environment.get("REDIS_URL"):
            environment["REDIS_URL"] = self.broker = self.take_broker(environment["REDIS_URL"].rpartition("/")[0])

    @staticmethod
    def take_broker(server: str) -> str:
        """Return the address of a Redis database that was empty and is ours now: nobody else's data is ever flushed."""
        for number in range(1, 16):
            with redis.Redis.from_url(f"{server}/{number}") as connection:
                if not connection.set(TAKEN, 1, nx=True, ex=3600):  # a run that was killed gives it back, too
                    continue
                if connection.dbsize() == 1:
                    return f"{server}/{number}"
                connection.delete(TAKEN)
        raise AssertionError(f"{server} has no empty database from 1 to 15; `redis-cli -n N flushdb` empties one.")

    def execute(self, statement: str) -> None:
        """Run one statement beside any transaction."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(statement)

    def give_back(self) -> None:
        """Drop the database and empty the broker."""
        if self.name:
            self.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
            self.name = ""
        if self.broker:
            with redis.Redis.from_url(self.broker) as connection:
                connection.flushdb()
            self.broker = ""


class RunningPitch:
    """`./run` as a child process; `url`, `password` and `data` tell where it is."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.port, self.mailbox_port = free_port(), free_port()
        # The suite's own settings must not leak in: the child is a new installation.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PITCH_", "DJANGO_"))}
        self.environment = {
            **inherited,
            "PITCH_DATA": str(data),
            "PORT": str(self.port),
            "MAILBOX_PORT": str(self.mailbox_port),
            **settings,
        }
        self.servers = Servers(self.environment)
        self.output: list[str] = []

    def start(self, seconds: float = 120.0) -> "RunningPitch":
        """Start everything and wait for the ready line."""
        self.process = subprocess.Popen(
            [str(ROOT / "run")],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        match = wait_until(self._ready, seconds)
        self.url, self.password = match["url"], match["password"]
        return self

    def _ready(self):
        for line in iter(self.process.stdout.readline, ""):
            self.output.append(line.rstrip("\n"))
            match = READY.match(self.output[-1])
            if match:
                return match
        assert self.process.poll() is None, "\n".join(self.output)
        return None

    def stop(self) -> int:
        """Stop as Ctrl-C would; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(45)
        finally:
            self.process.stdout.close()
            self.servers.give_back()

    def manage(self, *words: str) -> str:
        """Run a management command against the same installation; returns what it printed."""
        environment = {"PITCH_MODE": "demo", **self.environment}
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def mails(self) -> list[EmailMessage]:
        """Return the mails in the local mailbox, oldest first, each with its X-Envelope-* lines."""
        files = sorted((self.data / "mailbox").glob("*.eml"))
        return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]

    def session(self) -> "Session":
        """Return an HTTP session signed in as the demo user."""
        session = Session(self.url)
        session.sign_in("demo@acme.test", self.password)
        return session

    def health(self) -> tuple[int, dict]:
        """Return status and body of /healthz; status 0 while nothing answers."""
        try:
            answer = requests.get(f"{self.url}/healthz", timeout=5)
        except requests.ConnectionError:
            return 0, {}
        return answer.status_code, json.loads(answer.text)


class Session(requests.Session):
    """A browser without scripts: cookies, CSRF token, forms."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def token(self) -> str:
        """Return the CSRF token the cookie holds."""
        return str(self.cookies["pitch_csrf"])

    def sign_in(self, email: str, password: str) -> None:
        """Sign in through the form."""
        self.get(f"{self.url}/accounts/login/", timeout=30).raise_for_status()
        self.submit("/accounts/login/", login=email, password=password)
        assert self.get(f"{self.url}/accounts/whoami", timeout=30).json()["email"] == email

    def submit(self, path: str, **fields: str) -> requests.Response:
        """Post a form and follow where it leads."""
        data = {"csrfmiddlewaretoken": self.token(), **fields}
        answer = self.post(f"{self.url}{path}", data=data, headers={"Referer": self.url + path}, timeout=60)
        answer.raise_for_status()
        return answer

    def upload(self, file: Path) -> str:
        """Upload a video by tus and wait until it is ready; returns the video's code."""
        content = file.read_bytes()
        headers = {"Tus-Resumable": "1.0.0", "X-CSRFToken": self.token(), "Referer": self.url}
        made = self.post(
            f"{self.url}/uploads/",
            headers={**headers, "Upload-Length": str(len(content)), "Upload-Metadata": "filename dGFrZS5tcDQ="},
            timeout=60,
        )
        assert made.status_code == 201, made.text
        location = requests.compat.urljoin(self.url + "/uploads/", made.headers["Location"])
        sent = self.patch(
            location,
            data=content,
            headers={**headers, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
            timeout=60,
        )
        assert sent.status_code == 204, sent.text
        code = made.headers["X-Video"]

        def ready():
            status = self.get(f"{self.url}/videos/{code}/status", timeout=30).json()
            assert status["state"] != "failed", status
            return status["state"] == "ready"

        wait_until(ready, 60)
        return code
