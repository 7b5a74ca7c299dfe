"""`--req-report`: which requirements the passed tests show, written to req-report.json below PITCH_DATA.

`{"R376": ["tests/messaging/test_limits.py::test_…"], …}`; a number without a passed test maps to `[]` (design.md §2).
"""

import json
import os
from pathlib import Path

import pytest

NUMBERS = [f"R{n}" for n in range(1, 451)] + [f"C{n}" for n in range(1, 53)]
# Taken before tests/settings.py names a folder of its own: the report belongs to who asked for it.
FOLDER = Path(os.environ.get("PITCH_DATA") or Path(__file__).resolve().parent.parent / "var")


def pytest_addoption(parser):
    parser.addoption("--req-report", action="store_true", help="write req-report.json below PITCH_DATA")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Put the numbers of a test on its report, which xdist carries to the controller."""
    report = yield
    report.user_properties.extend(
        ("req", n) for mark in item.iter_markers("req") for n in mark.args if call.when == "call"
    )
    return report


class Report:
    """Collects passed tests on the controller, or on the only process."""

    def __init__(self):
        self.shown = {number: set() for number in NUMBERS}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            for name, number in report.user_properties:
                if name == "req" and number in self.shown:
                    self.shown[number].add(report.nodeid)

    def pytest_sessionfinish(self):
        FOLDER.mkdir(parents=True, exist_ok=True)
        found = {number: sorted(tests) for number, tests in self.shown.items()}
        (FOLDER / "req-report.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter):
        shown = sum(bool(tests) for tests in self.shown.values())
        terminalreporter.line(f"{shown} of {len(NUMBERS)} requirements are shown; see {FOLDER / 'req-report.json'}")


def pytest_configure(config):
    if config.getoption("--req-report") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(), "req-report-writer")
