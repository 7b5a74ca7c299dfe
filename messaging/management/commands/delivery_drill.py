"""Show that a killed process neither loses nor doubles a mail, on this machine, with real processes."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging.drill.installation import DrillFailed, Scratch
from messaging.drill.rows import Rows
from messaging.drill.scenarios import Drill, Line
from messaging.drill.sink import Sink

PARTS = ("worker", "monitor", "pusher", "sentinel")


class Command(BaseCommand):
    help = (
        "Start a scratch installation with the real launcher, send through a built-in mail server that refuses, hangs up and "
        "stalls, kill its processes in the middle, and print what became of every mail. Touches nothing of this installation."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument("--quick", action="store_true", help="few mails and three kills (about a minute)")
        parser.add_argument("--kills", type=int, default=20, help="how often a pump is killed (20)")
        parser.add_argument(
            "--mails", type=int, default=4000, help="mails of the send in which pumps are killed (4000)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the drill; exit code 1 if a mail was lost or doubled or a row does not say the truth."""
        if not sys.platform.startswith("linux"):
            raise CommandError("The drill finds its victims in /proc, so it needs Linux.")
        quick = options["quick"]
        kills, mails = (3, 300) if quick else (options["kills"], options["mails"])
        sink = Sink(slowness=0.002)
        try:
            with Scratch() as installation:
                installation.start()
                rows = Rows(installation.environment["DATABASE_URL"], sink.port)
                try:
                    lines = self._run(Drill(installation, sink, rows), quick=quick, kills=kills, mails=mails)
                finally:
                    rows.close()
                    installation.stop()
        except DrillFailed as err:
            raise CommandError(str(err)) from err
        finally:
            sink.stop()
        bad = [line for line in lines if not line.is_good]
        if bad or sink.recipients_of_a_mail > 1:
            self.stdout.write("NOT GOOD: mails were lost or doubled, or rows do not say the truth.")
            sys.exit(1)
        self.stdout.write("Good: nobody was skipped, nobody got a mail twice.")

    def _run(self, drill: Drill, *, quick: bool, kills: int, mails: int) -> list[Line]:
        self.stdout.write(
            f"{'':<24}{'mails':>7}{'kills':>7}{'twice':>7}{'lost':>6}{'in doubt':>10}{'arrived':>9}{'longest pause':>15}"
        )
        lines = [self._show(drill.answers(2 if quick else 10)), self._show(drill.refuse_tls(10))]
        lines.append(self._show(drill.kill_pumps(mails, kills)))
        for kind in ("monitor",) if quick else PARTS:
            lines.append(self._show(drill.kill_part(kind, mails // 2)))
        lines.append(self._show(drill.lose_host(mails // 2)))
        return lines

    def _show(self, line: Line) -> Line:
        pause = "-" if line.slowest is None else f"{line.slowest:.1f} s"
        self.stdout.write(
            f"{line.name:<24}{line.mails:>7}{line.kills:>7}{line.duplicates:>7}{line.lost:>6}{line.in_doubt:>10}"
            f"{line.in_doubt_arrived:>9}{pause:>15}{'' if line.is_good else '  ' + (line.wrong or 'NOT GOOD')}"
        )
        self.stdout.flush()
        return line
