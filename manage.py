#!/usr/bin/env python3
"""Django's command line for Pitch; `./run manage …` calls it inside the virtual environment."""

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pitch.settings")
    from django.core.management import execute_from_command_line

    if sys.argv[1:2] == ["make_key"]:
        # It makes what the settings ask for, so it cannot wait for them.
        from django.conf import settings

        from pitch.management.commands.make_key import Command

        settings.configure()
        Command().run_from_argv(sys.argv)
        return
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
