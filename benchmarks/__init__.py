"""Benchmarks: one script a claim. ``make bench NAME=<name>`` runs one, ``make bench`` all; see docs/performance.md.

A benchmark is a module of this package with ``run(data) -> Figure``. It starts and stops what it needs itself, on free
ports and in a directory of its own, so that it can run beside a demo.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from laptop import supervisor
from laptop.places import REPOSITORY, Places, places
from laptop.ports import next_free


@dataclass(frozen=True)
class Figure:
    """One measured claim: ``value`` in ``unit`` against ``goal`` (in words), and what else is worth knowing."""

    name: str
    value: float
    unit: str
    goal: str
    ok: bool
    detail: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as the JSON object that a benchmark's last line is."""
        return asdict(self)


@contextlib.contextmanager
def installation() -> Iterator[tuple[Places, list[str]]]:
    """Yield the places of a fresh state directory and the start of a laptop command line for it.

    Whatever was started there is stopped in the end, and the directory removed.
    """
    with tempfile.TemporaryDirectory(prefix="lookbook-bench-") as directory:
        here = places(directory)
        ports = ("--airflow-port", str(next_free(19_080)), "--aws-port", str(next_free(15_566)))
        try:
            yield here, [sys.executable, "-m", "laptop", "--state", str(here.state), *ports]
        finally:
            supervisor.down(here)


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command of the repository with its output in ``log``."""
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'include'}:{REPOSITORY / 'plugins'}"}
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT)
