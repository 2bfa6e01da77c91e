"""What recording lineage adds to describing 5,000 products, as a share of the run.

Two runs, one with lineage and one without, differ by less than two runs of the same kind do: so it is one run, in
which recording is timed where it happens. The value is the sum of two shares:

- of the tasks' time, what they spent on their records: reporting what they touch, hashing it, storing the record in
  S3, pushing it to XCom, telling metrics and asset events (:mod:`benchmarks._lineage_clock`);
- of the run's wall time, what passes between the end of its last other task and the end of ``collect_lineage``, which
  commits the records to ``lineage.runs``. Nothing else runs then: it counts whole, Airflow's time to start the task
  included.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import Figure, _lineage_clock
from benchmarks._fanout import Platform, describe, platform, publish_products, warm_up
from laptop.airflow_api import DagRun
from laptop.places import REPOSITORY

GOAL = 0.03
PRODUCTS = 5_000
_COLLECTING = "collect_lineage"
_DROP = "2026-11-16"


def run(data: Path | None, products: int = PRODUCTS) -> Figure:
    """Describe products and say which share of it was recording."""
    with tempfile.TemporaryDirectory(prefix="lookbook-clock-") as directory:
        clock = Path(directory) / "records.jsonl"
        root = clocked(Path(directory) / "root")
        with platform(root, **{_lineage_clock.VARIABLE: clock}) as at:
            warm_up(at)
            publish_products(_DROP, products, data)
            finished = describe(at, _DROP)
            recorded_s, records = _recorded(clock, finished.run_id)
            spans = _spans(at, finished)
        os.environ.pop(_lineage_clock.VARIABLE)
    return _figure(products, recorded_s, records, spans)


def clocked(root: Path) -> Path:
    """Make a repository like this one at ``root`` whose Airflow loads the clock as a plugin; nothing else differs."""
    plugins = root / "plugins"
    plugins.mkdir(parents=True)
    for source, target in ((REPOSITORY, root), (REPOSITORY / "plugins", plugins)):
        for entry in source.iterdir():
            with contextlib.suppress(FileExistsError):  # plugins, which is not a link
                (target / entry.name).symlink_to(entry)
    clock = Path(str(_lineage_clock.__file__))
    shutil.copy(clock, plugins / "lineage_clock.py")
    with (plugins / "lineage_clock.py").open("a") as plugin:
        plugin.write("\n\ninstall()\n")
    return root


def _recorded(clock: Path, run_id: str) -> tuple[float, int]:
    """Return the seconds that a run's tasks spent on their records, and how many records there are."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in clock.read_text().splitlines()]
    of_run = [line["seconds"] for line in lines if line["run_id"] == run_id]
    if not of_run:
        raise SystemExit(f"No task of {run_id} told how long it recorded: the clock isn't loaded.")
    return sum(of_run), len(of_run)


def _spans(at: Platform, run: DagRun) -> dict[bool, list[tuple[datetime, datetime]]]:
    """Return when each task began and ended, apart for the one that collects."""
    spans: dict[bool, list[tuple[datetime, datetime]]] = {False: [], True: []}
    for task in at.api.task_instances(run):
        if task.started and task.ended:
            spans[task.task_id == _COLLECTING].append((task.started, task.ended))
    return spans


def _figure(
    products: int, recorded_s: float, records: int, spans: dict[bool, list[tuple[datetime, datetime]]]
) -> Figure:
    tasks_s = sum((ended - began).total_seconds() for began, ended in spans[False])
    began = min(began for began, _ in spans[False])
    others_ended, collected = max(ended for _, ended in spans[False]), max(ended for _, ended in spans[True])
    run_s, collecting_s = ((collected - since).total_seconds() for since in (began, others_ended))
    shares = recorded_s / tasks_s, collecting_s / run_s
    detail = {
        "products": products,
        "records": records,
        "recording_s": round(recorded_s, 2),
        "tasks_s": round(tasks_s, 1),
        "collecting_s": round(collecting_s, 2),
        "run_s": round(run_s, 1),
        "share_of_tasks": round(shares[0], 4),
        "share_of_run": round(shares[1], 4),
    }
    return Figure("lineage_cost", round(sum(shares), 4), "of the run", f"<= {GOAL}", sum(shares) <= GOAL, detail)
