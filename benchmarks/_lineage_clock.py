"""Times what recording lineage takes inside the processes of tasks; a platform loads it in a benchmark's place.

It is no part of Lookbook: :func:`benchmarks.lineage_cost.clocked` puts it where Airflow's processes import it from.
Whatever a task reports is timed where it is reported, from outermost call to its end, and the sum is written as one
line when the record is handed on: to write each would cost more than it measures.
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VARIABLE = "LOOKBOOK_BENCH_CLOCK"
"""Names the file that gets a line for each record."""

# Reports, what a record holds of the settings, and at the end S3, XCom, metrics and the events of outlets.
_REPORTS = ("reads", "writes", "read_object", "reads_object", "writes_object", "reads_prefix", "reads_image")
_NUMBERS = ("counts", "adds", "details", "costs", "outputs_cost", "recorded")

_running = threading.local()
_sum_lock = threading.Lock()
_seconds = 0.0


def install() -> None:
    """Time recording in this process and those forked from it."""
    from lookbook.lineage import records
    from lookbook_airflow import lineage

    if hasattr(lineage._hand_on, "__wrapped__"):
        return  # a process may load its plugins more than once
    for name in (*_REPORTS, *_NUMBERS):
        setattr(records, name, _timed(getattr(records, name)))
    lineage._hand_on = _timed(lineage._hand_on, last=True)
    lineage.metrics.emit = _timed(lineage.metrics.emit)


def _timed(function: Callable[..., Any], *, last: bool = False) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        with _clock():
            result = function(*arguments, **named)
        if last:
            _write(arguments[0])
        return result

    return timed


@contextmanager
def _clock() -> Iterator[None]:
    """Add the time of a block to the sum, unless another block around it is timed already."""
    global _seconds
    if getattr(_running, "inside", False):
        yield
        return
    _running.inside, began = True, time.perf_counter()
    try:
        yield
    finally:
        _running.inside = False
        with _sum_lock:
            _seconds += time.perf_counter() - began


def _write(record: Any) -> None:
    """Append the task's sum so far; lines this short are appended whole, whoever else appends."""
    global _seconds
    line = json.dumps({"run_id": record.task.run_id, "task_id": record.task.task_id, "seconds": _seconds}) + "\n"
    _seconds = 0.0
    with Path(os.environ[VARIABLE]).open("a") as file:
        file.write(line)
