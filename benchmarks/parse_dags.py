"""How much longer all DAG files take to parse than one empty DAG file, as the dag-processor does it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import Figure
from laptop.environment import process_environment
from laptop.keys import load_or_create
from laptop.places import REPOSITORY, places
from laptop.ports import Ports

GOAL_S = 1.0
_ROUNDS = 5
EMPTY = "from airflow.sdk import DAG\n\nempty = DAG('empty', schedule=None)\n"
# A parsing process is forked from one that has imported Airflow: that part is paid once and isn't counted.
PARSE = """
import sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
began = time.perf_counter()
bag = DagBag(dag_folder=sys.argv[1])
assert bag.dags and not bag.import_errors, bag.import_errors
print(time.perf_counter() - began)
"""


def run(data: Path | None) -> Figure:
    """Parse both by turns, each time in a new process, and compare the medians."""
    del data  # there is nothing to read
    with tempfile.TemporaryDirectory() as directory:
        empty = Path(directory) / "dags"
        empty.mkdir()
        (empty / "empty.py").write_text(EMPTY)
        here = places(Path(directory) / "state")
        environment = process_environment(here, Ports(), load_or_create(here))
        rounds = [(_seconds(REPOSITORY / "dags", environment), _seconds(empty, environment)) for _ in range(_ROUNDS)]
    ours, nothing = (statistics.median(times) for times in zip(*rounds, strict=True))
    extra = ours - nothing
    detail = {
        "files": len(list((REPOSITORY / "dags").glob("*.py"))),
        "all_s": round(ours, 3),
        "empty_s": round(nothing, 3),
    }
    goal = f"<= {GOAL_S:g} s more than an empty DAG file"
    return Figure("parse_dags", round(extra, 3), "s", goal, extra <= GOAL_S, detail)


def _seconds(folder: Path, environment: dict[str, str]) -> float:
    command = [sys.executable, "-c", PARSE, str(folder)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(answer.stdout.splitlines()[-1])
