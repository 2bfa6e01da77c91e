"""Run one benchmark, or all: ``python -m benchmarks [--name NAME] [--data DIRECTORY]``.

The last line of one benchmark is its figure as JSON. Running all also writes ``benchmarks/results/<date>.json`` and the
table in ``docs/performance.md``. Exit code 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import benchmarks
from benchmarks import Figure, NoDataError
from laptop.places import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"
PAGE = REPOSITORY / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--name", choices=names(), help="one benchmark; by default all")
    parser.add_argument("--data", type=Path, help="directory in Kaggle's layout, for benchmarks that can use real data")
    options = parser.parse_args()
    figures = [figure for name in ([options.name] if options.name else names()) if (figure := run(name, options.data))]
    if options.name is None:
        keep(figures)
    return 0 if figures and all(figure.ok for figure in figures) else 1


def names() -> list[str]:
    """Return every benchmark's name."""
    modules = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return [name for name in modules if not name.startswith("_")]


def run(name: str, data: Path | None) -> Figure | None:
    """Run one benchmark and print its figure as one line of JSON; one that lacks its data says so and has none."""
    try:
        figure: Figure = importlib.import_module(f"benchmarks.{name}").run(data)
    except NoDataError as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return None
    print(json.dumps(figure.as_dict()), flush=True)
    return figure


def keep(figures: list[Figure]) -> None:
    """Write the figures to a file of today and to the table of docs/performance.md."""
    now = datetime.now(UTC)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    RESULTS.mkdir(exist_ok=True)
    content = {"at": now.isoformat(timespec="seconds"), "machine": machine, "figures": [f.as_dict() for f in figures]}
    (RESULTS / f"{now:%Y-%m-%d}.json").write_text(json.dumps(content, indent=2) + "\n")
    before, after = _around_table()
    PAGE.write_text(f"{before}{BEGIN}\n{table(figures, machine, f'{now:%Y-%m-%d}')}{END}{after}")


def table(figures: list[Figure], machine: str, day: str) -> str:
    """Return the figures as a Markdown table."""
    rows = [
        f"| `{figure.name}` | {figure.value:g} {figure.unit} | {figure.goal} | {'yes' if figure.ok else 'no'} |\n"
        for figure in figures
    ]
    head = "| benchmark | measured | goal | reached |\n|---|---|---|---|\n"
    return f"\nMeasured on {day}: {machine}.\n\n{head}{''.join(rows)}\n"


def _around_table() -> tuple[str, str]:
    text = (
        PAGE.read_text() if PAGE.exists() else f"# Performance\n\n`make bench` measures this table.\n\n{BEGIN}{END}\n"
    )
    before, _, rest = text.partition(BEGIN)
    return before, rest.partition(END)[2]


if __name__ == "__main__":
    sys.exit(main())
