"""The requirement ledger, docs/requirements.md: made once from the requirement list, kept true by marks on tests.

python scripts/ledger.py make LIST.md     write the ledger from a requirement list (lines `- **R1** wording`)
python scripts/ledger.py update           set each state from the marks `@pytest.mark.req(...)` in tests/
python scripts/ledger.py check            exit 1 if ledger and marks disagree
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEDGER = ROOT / "docs" / "requirements.md"
ROW = re.compile(r"^\| (?P<number>[RC]\d+) \| (?P<wording>.*) \| (?P<state>shown|open) \| (?P<tests>.*) \|$")
EXPECTED = [f"R{n}" for n in range(1, 451)] + [f"C{n}" for n in range(1, 53)]
HEAD = """# Requirements

R1 to R450 come from the four source documents, C1 to C52 from what real Kaltura clients need beyond them.
**shown**: a test carries the number and would fail without the behaviour. **open**: not built yet, or not shown by a test.
States and tests are written by `python scripts/ledger.py update`; tests/test_ledger.py keeps them true.

| number | requirement | state | shown by |
|---|---|---|---|
"""


def shorten(wording: str, limit: int = 110) -> str:
    """Return the first sentence of `wording` without marks, cut at a word after `limit` characters."""
    text = re.sub(r"\*\*\(P\)\*\*.*", "", wording)
    text = text.replace("**", "").replace("|", "/").strip()
    text = re.split(r"(?<=[a-z0-9`)\"]{2})[.;] ", text)[0].rstrip(".;: ")
    if len(text) > limit:
        text = text[:limit].rsplit(" ", 1)[0].rstrip(",;:(") + " …"
    return text if text.count("`") % 2 == 0 else text.replace("`", "")


def read_list(path: Path) -> dict[str, str]:
    """Return number to short wording from a requirement list."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"^- \*\*([RC]\d+)\*\*[ :.]*(.*)$", line)
        if match:
            found[match[1]] = shorten(match[2])
    return found


def read_marks(folder: Path = ROOT / "tests") -> dict[str, list[str]]:
    """Return number to the tests that carry it, as `tests/file.py::test_name`, sorted."""
    marks: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for number in numbers_of(node):
                marks.setdefault(number, []).append(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return {number: sorted(set(tests)) for number, tests in marks.items()}


def numbers_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the requirement numbers that decorate one test function."""
    return [
        argument.value
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.req"
        for argument in decorator.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


def read_ledger() -> dict[str, tuple[str, str, str]]:
    """Return number to (wording, state, tests) from the ledger."""
    rows = {}
    for line in LEDGER.read_text(encoding="utf-8").splitlines():
        match = ROW.match(line)
        if match:
            rows[match["number"]] = (match["wording"], match["state"], match["tests"])
    return rows


def render(wordings: dict[str, str], marks: dict[str, list[str]]) -> str:
    """Return the ledger's text."""
    lines = []
    for number in EXPECTED:
        tests = marks.get(number, [])
        shown = ", ".join(f"`{test}`" for test in tests[:2]) + (f" and {len(tests) - 2} more" if len(tests) > 2 else "")
        lines.append(f"| {number} | {wordings[number]} | {'shown' if tests else 'open'} | {shown} |\n")
    return HEAD + "".join(lines)


def main(arguments: list[str]) -> int:
    """Run one of the three words; returns the exit code."""
    if arguments[:1] == ["make"] and len(arguments) == 2:
        wordings = read_list(Path(arguments[1]))
        missing = [number for number in EXPECTED if number not in wordings]
        if missing:
            print(f"The list lacks {', '.join(missing[:10])}.", file=sys.stderr)
            return 1
        LEDGER.write_text(render(wordings, read_marks()), encoding="utf-8")
        return 0
    if arguments in (["update"], ["check"]):
        text = render({number: row[0] for number, row in read_ledger().items()}, read_marks())
        if arguments == ["update"]:
            LEDGER.write_text(text, encoding="utf-8")
        elif text != LEDGER.read_text(encoding="utf-8"):
            print("docs/requirements.md disagrees with the tests: run python scripts/ledger.py update", file=sys.stderr)
            return 1
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
