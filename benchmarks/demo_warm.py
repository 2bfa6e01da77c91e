"""How long ``make demo`` takes when both environments are there, from nothing else, and what memory it peaks at."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import psutil

from benchmarks import Figure, installation, start
from laptop import record
from laptop.places import Places
from laptop.processes import family, memory

GOAL_S = 300
GOAL_MEMORY_GIB = 6
_EVERY_S = 2.0


def run(data: Path | None) -> Figure:
    """Run the demo on a drawn drop (or on ``data``, 300 rows of it) and measure it until its summary is printed."""
    with installation() as (here, laptop):
        log = here.state / "demo.log"
        drop = ["--drop", str(data), "--limit", "300"] if data else []
        began = time.monotonic()
        demo = start([*laptop, "demo", *drop], log)
        peak = _watch_memory(demo, here)
        seconds = time.monotonic() - began
        output = log.read_text()
    if demo.returncode:
        raise SystemExit(f"The demo failed:\n{output}")
    ok = seconds <= GOAL_S and peak <= GOAL_MEMORY_GIB * 2**30
    detail = {"peak_memory_gib": round(peak / 2**30, 2), "goal_memory_gib": GOAL_MEMORY_GIB, **_told(output)}
    return Figure("demo_warm", round(seconds, 1), "s", f"<= {GOAL_S} s and <= {GOAL_MEMORY_GIB} GiB", ok, detail)


def _watch_memory(demo: subprocess.Popen[bytes], here: Places) -> int:
    """Return the most that the demo and everything it started took together (shared pages once), in bytes."""
    peak = 0
    while demo.poll() is None:
        known = record.load(here)
        members = family(known.processes if known else (), here.state)
        peak = max(peak, memory([*members, psutil.Process(demo.pid)]))
        time.sleep(_EVERY_S)
    return peak


def _told(output: str) -> dict[str, float]:
    """Return what the demo itself says: seconds until everything was up, products described, exact match."""
    patterns = {
        "up_s": r"Up after (\d+) s",
        "published": r"rows read, (\d+) published",
        "described": r"Descriptions: (\d+) published",
        "exact_match": r"^ *all .* (\d\.\d\d) *$",
    }
    found = {name: re.search(pattern, output, re.MULTILINE) for name, pattern in patterns.items()}
    return {name: float(match[1]) for name, match in found.items() if match}
