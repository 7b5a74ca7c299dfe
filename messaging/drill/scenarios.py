"""What a drill does, one line of its table each."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass

from messaging.drill.installation import Installation, wait_until
from messaging.drill.rows import Rows
from messaging.drill.sink import Sink

FINISH_SECONDS = 240.0


@dataclass(frozen=True)
class Line:
    """One line of the table. `slowest` is how long nothing was sent after a kill, in seconds; None where nothing was killed."""

    name: str
    mails: int
    kills: int
    duplicates: int
    lost: int
    in_doubt: int
    in_doubt_arrived: int
    slowest: float | None
    wrong: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nobody was skipped or got two mails, and every row says the truth."""
        return not (self.duplicates or self.lost or self.wrong)


class Drill:
    """One scratch installation and one sink, for one scenario after another."""

    def __init__(self, installation: Installation, sink: Sink, rows: Rows) -> None:
        self.installation, self.sink, self.rows = installation, sink, rows
        self.slowest: float | None = None
        self.kills = 0

    # ---- Scenarios ------------------------------------------------------------------------------------------------------
    def answers(self, each: int) -> Line:
        """Send to addresses of every kind and compare every state with what the server did."""
        expected = {
            "ok": "accepted", "stall": "accepted", "defer": "accepted", "dropbefore": "accepted",
            "bounce": "bounced", "policy": "dropped", "dropafter": "in_doubt",
        }  # fmt: skip
        tag = self._tag()
        addresses = [f"{kind}-{tag}{n}@drill.test" for n in range(each) for kind in expected]
        message = self.rows.queue(addresses)
        self._finish(message)
        found = Counter(
            f"{address.partition('-')[0]} became {state}"
            for address, state in self.rows.states(message).items()
            if state != expected[address.partition("-")[0]]
        )
        return self._line("every answer", message, wrong=", ".join(sorted(found)))

    def refuse_tls(self, mails: int) -> Line:
        """Ask for STARTTLS where there is none: nothing may go out and nobody's try be burned; then go on without."""
        self.rows.secure("starttls")
        message = self.rows.queue([f"ok-{self._tag()}{n}@drill.test" for n in range(mails)])
        wait_until(self.rows.stopped_reason, 60, "The provider stopped")
        early = sum(self.sink.copies[address] for address in self.rows.states(message))
        burned = self.rows.attempts(message)
        self.rows.secure("none")
        self._finish(message)
        return self._line("TLS refused, then mended", message, wrong="sent or burned" if early or burned else None)

    def kill_pumps(self, mails: int, kills: int) -> Line:
        """Kill a pump at a random moment, again and again, while a bulk goes out."""
        message = self.rows.queue([f"ok-{self._tag()}{n}@drill.test" for n in range(mails)])
        for number in range(kills):
            target = mails * (number + 1) // (kills + 1)
            self._wait_for(message, target)
            time.sleep(random.uniform(0, 0.05))  # noqa: S311  (any moment of a window)
            self._kill("pump")
        self._finish(message)
        return self._line(f"pump killed × {kills}", message)

    def kill_part(self, kind: str, mails: int) -> Line:
        """Kill one worker, monitor, pusher or sentinel while a bulk goes out."""
        message = self.rows.queue([f"ok-{self._tag()}{n}@drill.test" for n in range(mails)])
        wait_until(lambda: self._done(message) >= mails // 4, 120, "A send")
        self._kill(kind)
        # Whether the queue works, not whether a living pump ends its own batch: there is work for a new one, too.
        second = self.rows.queue([f"ok-{self._tag()}{n}@drill.test" for n in range(20)], priority=0)
        self._finish(message)
        self._finish(second)
        return self._line(f"{kind} killed", message)

    def lose_host(self, mails: int) -> Line:
        """Kill the worker with all it started, and take its journal away, as if the host had burned."""
        message = self.rows.queue([f"ok-{self._tag()}{n}@drill.test" for n in range(mails)])
        wait_until(lambda: self._done(message) >= mails // 2, 120, "A send")
        assert self.installation.process is not None
        os.kill(
            self.installation.process.pid, signal.SIGSTOP
        )  # it must not start another one before the journal is gone
        worker, leader = self.installation.worker(), self.installation.leader()
        os.kill(worker, signal.SIGKILL)
        os.killpg(leader, signal.SIGKILL)
        self.kills += 1
        begun = time.monotonic()
        shutil.rmtree(self.installation.folder / "journal", ignore_errors=True)
        os.kill(self.installation.process.pid, signal.SIGCONT)
        self._note_recovery(begun)
        self._finish(message)
        return self._line("host and journal lost", message)

    # ---- Steps ----------------------------------------------------------------------------------------------------------
    @staticmethod
    def _tag() -> str:
        return f"{random.getrandbits(32):08x}x"

    def _done(self, message: int) -> int:
        return sum(count for state, count in self.rows.count(message).items() if state not in {"queued", "leased"})

    def _wait_for(self, message: int, target: int) -> None:
        """Wait until so many mails of a message have ended, or all."""
        wait_until(lambda: self._done(message) >= target or self.rows.is_finished(message), 120, "A send")

    def _kill(self, kind: str) -> None:
        victims = wait_until(lambda: self.installation.victims(kind), 60, f"A {kind} to kill")
        before = self.sink.last
        os.kill(random.choice(victims), signal.SIGKILL)  # noqa: S311
        self.kills += 1
        self._note_recovery(max(before, time.monotonic()))

    def _note_recovery(self, begun: float) -> None:
        wait_until(lambda: self.sink.last > begun or self.rows.are_all_finished(), 120, "Sending went on")
        took = max(0.0, self.sink.last - begun)
        self.slowest = max(self.slowest or 0.0, took)

    def _finish(self, message: int) -> None:
        def finished() -> bool:
            self.rows.hurry(message)
            return self.rows.is_finished(message)

        wait_until(finished, FINISH_SECONDS, "The send ended")

    def _line(self, name: str, message: int, *, wrong: str | None = None) -> Line:
        states = self.rows.states(message)
        taken = {address: self.sink.copies[address] for address in states}
        doubts = [address for address, state in states.items() if state == "in_doubt"]
        line = Line(
            name=name,
            mails=len(states),
            kills=self.kills,
            duplicates=sum(max(0, copies - 1) for copies in taken.values()),
            lost=sum(1 for address, state in states.items() if state == "accepted" and not taken[address]),
            in_doubt=len(doubts),
            in_doubt_arrived=sum(1 for address in doubts if taken[address]),
            slowest=self.slowest,
            wrong=self._odd(states) if wrong is None else wrong,
        )
        self.slowest, self.kills = None, 0
        return line

    @staticmethod
    def _odd(states: dict[str, str]) -> str:
        odd = Counter(state for state in states.values() if state not in {"accepted", "in_doubt"})
        return ", ".join(f"{count} {state}" for state, count in sorted(odd.items()))
