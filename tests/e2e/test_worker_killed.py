"""A worker killed in the middle of a send of 20 + 20: nobody gets two mails, and what is not known is called in doubt."""

import json
import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from tests.e2e.running import free_port, wait_until

STATES = (
    "import json; from messaging.models import Delivery; "
    "print(json.dumps(list(Delivery.objects.filter(message__code='{code}').values_list('address', 'state'))))"
)
# The undo time is waited out in test_whole_loop; these tests are about what comes after it.
END_UNDO = (
    "from django.utils.timezone import now; from messaging.models import Delivery, Message; "
    "Message.objects.filter(code='{code}').update(send_after=now()); "
    "Delivery.objects.filter(message__code='{code}').update(next_at=now())"
)


class Counting:
    """A mail server that counts copies, and can be told to keep a sender waiting for the last reply."""

    def __init__(self) -> None:
        self.copies: Counter[str] = Counter()
        self.recipients_of_one_mail: set[int] = set()
        self.on_copy = {}

    async def handle_DATA(self, server, session, envelope):
        """Count, then do what was asked for this copy, then accept."""
        self.recipients_of_one_mail.add(len(envelope.rcpt_tos))
        self.copies[envelope.rcpt_tos[0]] += 1
        action = self.on_copy.get(sum(self.copies.values()))
        if action:
            action()
        return "250 2.0.0 kept"


def worker_processes(data: Path) -> list[int]:
    """Return the process ids of the worker of the installation whose data folder is `data`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        mine = f"PITCH_DATA={data}\0".encode() in environment
        if mine and (b"run_worker" in command or b"qcluster" in command):
            found.append(int(folder.name))
    return found


def send_to(pitch, port: int, take: Path, to: list[str], bcc: Sequence[str] = ()) -> str:
    """Send one message through the mail server at `port`; returns its code."""
    address = ["--host", "127.0.0.1", "--port", str(port), "--security", "none"]
    pitch.manage("configure_smtp", "--organization", "acme", *address, "--from", "demo@acme.test")
    session = pitch.session()
    video = session.upload(take)
    page = session.submit("/messages/new", video=video).url
    code = page.rstrip("/").split("/")[-2]
    people = {kind: [{"name": "", "address": a} for a in found] for kind, found in {"to": to, "bcc": bcc}.items()}
    draft = {**people, "subject": "Hello", "text_html": "<p>Hello</p>", "video": video, "version": 0}
    saved = session.post(
        f"{pitch.url}/messages/{code}/draft",
        json=draft,
        headers={"X-CSRFToken": session.token(), "Referer": page},
        timeout=30,
    )
    assert saved.status_code == 200, saved.text
    session.submit(f"/messages/{code}/send")
    pitch.manage("shell", "--no-imports", "-c", END_UNDO.format(code=code))
    return code


@pytest.mark.req("R375", "R378")
@pytest.mark.abuse("A39")
def test_killed_in_the_middle_of_forty(pitch, take):
    server = Counting()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        # The 15th copy is counted by the server, but the worker dies before it hears of it.
        server.on_copy[15] = lambda: [os.kill(process, signal.SIGKILL) for process in worker_processes(pitch.data)]
        to, bcc = ([f"{kind}{n}@kill.example" for n in range(20)] for kind in ("to", "bcc"))
        code = send_to(pitch, controller.port, take, to, bcc)

        def finished():
            rows = json.loads(pitch.manage("shell", "--no-imports", "-c", STATES.format(code=code)))
            states = Counter(state for _address, state in rows)
            return states if not states.keys() & {"queued", "leased", "deferred"} else None

        states = wait_until(finished, 120, every=1)
    finally:
        controller.stop()
        # Other tests share this installation: its mails go to the local mailbox again.
        mailbox = ["--host", "127.0.0.1", "--port", str(pitch.mailbox_port), "--security", "none"]
        pitch.manage("configure_smtp", "--organization", "acme", *mailbox, "--from", "pitch@acme.test")
    assert server.recipients_of_one_mail == {1}
    assert set(server.copies.values()) == {1}, server.copies.most_common(3)
    assert len(server.copies) == 40
    assert states == {"accepted": 39, "in_doubt": 1}
    wait_until(lambda: pitch.health()[0] == 200, 60)
