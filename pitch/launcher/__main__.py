"""The foreground process of `./run`: prepare, start, watch, stop."""

import os
import sys

from pitch.launcher.preparing import Refusal, prepare
from pitch.launcher.supervisor import Supervisor, children


def main() -> int:
    """Bring everything up and stay until Ctrl-C; returns the exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pitch.settings")
    try:
        password = prepare()
    except Refusal as refusal:
        print(f"Pitch cannot start: {refusal}", file=sys.stderr)
        return 1
    return Supervisor(children(), password).run()


if __name__ == "__main__":
    sys.exit(main())
