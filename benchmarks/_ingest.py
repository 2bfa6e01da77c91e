"""One ingest, measured: ``python -m benchmarks._ingest <manifest URI>`` reads, validates and publishes in this process.

Its last line is JSON: the seconds of each step, and what came of the rows. The benchmarks run it as a process of its
own, so that its memory, and that of the processes which it starts, is the ingest's alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import start
from laptop.processes import memory
from lookbook import drops
from lookbook.catalog import ingests, publishing
from lookbook.quality import validating

_EVERY_S = 0.2


@dataclass(frozen=True)
class Ingested:
    """What an ingest took: seconds of each step, bytes of memory at most, and what became of the rows."""

    steps_s: dict[str, float]
    peak_bytes: int
    rows: int
    published: int
    quarantined: int

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(self.steps_s.values())


def measured(manifest_uri: str, log: Path) -> Ingested:
    """Ingest a fingerprinted drop in a process of its own, whose output goes to ``log``."""
    process = start([sys.executable, "-m", "benchmarks._ingest", manifest_uri], log)
    peak = _peak(process)
    if process.returncode:
        raise SystemExit(f"The ingest failed:\n{log.read_text()}")
    return Ingested(peak_bytes=peak, **json.loads(log.read_text().splitlines()[-1]))


def _peak(process: subprocess.Popen[bytes]) -> int:
    """Return the most that a process and its children took together (shared pages once), in bytes."""
    peak, parent = 0, psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, memory([parent, *_children(parent)]))
        time.sleep(_EVERY_S)
    return peak


def _children(parent: psutil.Process) -> list[psutil.Process]:
    try:
        return parent.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def main(manifest_uri: str) -> None:
    """Ingest the drop of a manifest and print what it took."""
    steps_s: dict[str, float] = {}
    with _timed(steps_s, "read"):
        candidates = drops.read(manifest_uri)
    with _timed(steps_s, "validate"):
        validation = validating.validate(candidates.uri)
    with _timed(steps_s, "publish"):
        published = publishing.publish(publishing.stage(candidates.uri, validation.uri))
        ingests.record_difference(published, validation.uri)
    told: dict[str, Any] = {name: getattr(published, name) for name in ("rows", "published", "quarantined")}
    print(json.dumps({"steps_s": steps_s, **told}))


@contextmanager
def _timed(steps_s: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    steps_s[name] = round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    main(sys.argv[1])
