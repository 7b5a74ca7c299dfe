"""The ledger and the marks agree, and marks are honest: few numbers, on tests that are not parametrised."""

import ast
from pathlib import Path

from scripts import ledger

TESTS = Path(__file__).parent


def test_ledger_lists_every_number_once():
    assert list(ledger.read_ledger()) == ledger.EXPECTED


def test_ledger_and_marks_agree():
    marks = ledger.read_marks()
    for number, (_wording, state, tests) in ledger.read_ledger().items():
        assert (state == "shown") == (number in marks), f"{number}: run python scripts/ledger.py update"
        assert all(f"`{test}`" in tests for test in marks.get(number, [])[:2]), number


def test_marks_name_known_numbers():
    assert set(ledger.read_marks()) <= set(ledger.EXPECTED)


def test_at_most_five_numbers_on_one_unparametrised_test():
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            numbers = ledger.numbers_of(node)
            assert len(numbers) <= 5, f"{path.name}::{node.name} claims {len(numbers)} requirements"
            if numbers:
                decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
                assert not any("parametrize" in text for text in decorators), f"{path.name}::{node.name}"
