"""`./run bench [name …]`: run the benches named (all without names), print a table, merge it into bench.json below PITCH_DATA."""

import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

import django

import bench


def names() -> list[str]:
    """Return every bench there is: the modules of this package that have `run`."""
    return sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))


def verdict(line: dict[str, Any]) -> str:
    """Return how a value stands to what it must and should be."""
    if "must" not in line:
        return ""
    lower = line["better"] == "lower"

    def reaches(limit: float) -> bool:
        return bool(line["value"] <= limit if lower else line["value"] >= limit)

    if not reaches(line["must"]):
        return "TOO SLOW" if lower else "TOO LITTLE"
    return "aim reached" if "aim" in line and reaches(line["aim"]) else "ok"


def print_table(lines: dict[str, dict[str, Any]]) -> None:
    """Print the lines with what they are compared with."""
    width = max((len(name) for name in lines), default=0)
    for name, line in lines.items():
        limits = f"must {line.get('must', '-')}, aim {line.get('aim', '-')}"
        print(f"{name:<{width}}  {line['value']:>10} {line['unit']:<8} {limits:<22} {verdict(line)}")
        print(f"{'':<{width}}  {line['baseline']}")


def keep(lines: dict[str, dict[str, Any]]) -> Path:
    """Merge the lines into bench.json; returns its path."""
    from django.conf import settings

    path = Path(settings.PITCH_DATA) / "bench.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**known, **lines}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def main(wanted: list[str]) -> int:
    """Run the benches; returns 1 if a value misses what it must reach, 2 for an unknown name."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"There is no bench named {', '.join(unknown)}. There are: {', '.join(names())}.", file=sys.stderr)
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pitch.settings")
    django.setup()
    lines: dict[str, dict[str, Any]] = {}
    for name in wanted or names():
        print(f"{name} …", flush=True)
        lines |= importlib.import_module(f"bench.{name}").run()
    print_table(lines)
    print(f"Written to {keep(lines)}")
    return int(any(verdict(line).startswith("TOO") for line in lines.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
