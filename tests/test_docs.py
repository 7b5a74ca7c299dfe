"""The docs say what the code does."""

import re
from pathlib import Path

from pitch.lib.env import READ

ROOT = Path(__file__).resolve().parent.parent


def test_every_setting_is_documented_and_nothing_else():
    documented = re.findall(r"^\| `([A-Z0-9_]+)` \|", (ROOT / "docs/configuration.md").read_text(), re.M)
    assert len(documented) == len(set(documented))
    assert set(documented) == READ


def test_every_setting_stands_in_the_example():
    named = re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M)
    assert len(named) == len(set(named))
    assert set(named) == READ


def test_docs_link_only_to_files_that_exist():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
