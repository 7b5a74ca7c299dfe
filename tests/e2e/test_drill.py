"""The shipped drill, in its quick form: real processes killed in the middle, and not one mail lost or doubled."""

import os
import subprocess
import sys

import pytest

from tests.e2e.running import ROOT


@pytest.mark.req("R379", "R378")
@pytest.mark.abuse("A39")
def test_the_quick_drill_is_good(tmp_path):
    environment = {**os.environ, "PITCH_MODE": "demo", "PITCH_DATA": str(tmp_path)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, str(ROOT / "manage.py"), "delivery_drill", "--quick"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Good: nobody was skipped, nobody got a mail twice." in done.stdout
    for name in ("every answer", "TLS refused", "pump killed × 3", "monitor killed", "host and journal lost"):
        assert name in done.stdout
    assert not list((tmp_path / "drill").iterdir())
