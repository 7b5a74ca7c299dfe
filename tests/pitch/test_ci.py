"""What CI calls tests both databases, whatever is exported."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUB = '#!/bin/sh\necho "$*|${DATABASE_URL:-}|${REDIS_URL:-}" >> "$LOG"\n'


@pytest.fixture
def ci(tmp_path):
    """Return a function that runs .ci/run beside a `run` that only notes how it was called, and returns the notes."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    # Python only asks whether the servers answer; here they do.
    for path, text in (("run", STUB), (".venv/bin/python", "#!/bin/sh\n"), (".venv/bin/python3", "#!/bin/sh\n")):
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)

    def run(**exported):
        env = {"PATH": f"{programs}:{os.environ['PATH']}", "LOG": str(tmp_path / "log")} | exported
        done = subprocess.run(
            [tmp_path / ".ci" / "run"], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return (tmp_path / "log").read_text().splitlines()

    return run


def test_exported_servers_are_for_the_second_stage_only(ci):
    named = {"DATABASE_URL": "postgres://ci@db.test/pitch", "REDIS_URL": "redis://broker.test:6379/3"}
    assert ci(**named) == ["lint||", "test||", f"test|{named['DATABASE_URL']}|{named['REDIS_URL']}"]


def test_without_names_the_usual_ports_are_used(ci):
    assert ci() == ["lint||", "test||", "test|postgres://postgres@127.0.0.1:5432/postgres|redis://127.0.0.1:6379/9"]
