"""What differed between two runs of a DAG: what their tasks read, wrote and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lookbook.catalog import tables
from lookbook.errors import PermanentError

Row = Mapping[str, Any]
_SHOWN = 8  # datasets of a kind; a run may have written an object for each of its products


@dataclass(frozen=True)
class Change:
    """One thing that a task did otherwise; empty on the side that had nothing of the kind."""

    task_id: str
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """Two runs of one DAG, task by task."""

    dag_id: str
    before: str
    after: str
    changes: tuple[Change, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    def text(self) -> str:
        """Return it as lines to read, one a change."""
        lines = [f"{self.dag_id}: {self.before} → {self.after}"]
        for change in self.changes:
            lines.append(f"  {change.task_id}  {change.what}: {change.before or '–'} → {change.after or '–'}")
        return "\n".join(lines if self.changes else [*lines, "  Both did the same, as far as is recorded."])


def compare(before: str, after: str, dag_id: str | None = None) -> Comparison:
    """Compare two runs.

    Args:
        before: run id of the one, as Airflow shows it.
        after: run id of the other.
        dag_id: whose runs; needed where more than one DAG has runs of these names.

    Raises:
        PermanentError: a run left no lineage record, or it isn't clear whose runs are meant.
    """
    runs = tables.read("lineage.runs", tables.one_of("run_id", (before, after))).to_pylist()
    dag_id = dag_id or _only_dag(runs, before, after)
    one, other = (_tasks(runs, dag_id, run_id) for run_id in (before, after))
    changes = [change for task_id in sorted({*one, *other}) for change in _changes(task_id, one, other)]
    return Comparison(dag_id, before, after, tuple(changes))


def _only_dag(runs: Iterable[Row], before: str, after: str) -> str:
    dags = [{row["dag_id"] for row in runs if row["run_id"] == run_id} for run_id in (before, after)]
    common = sorted(dags[0] & dags[1])
    if len(common) == 1:
        return str(common[0])
    if common:
        raise PermanentError(f"{', '.join(common)} have runs {before} and {after}. Say which with --dag.")
    missing = before if not dags[0] else after
    raise PermanentError(f"No DAG has lineage records of both runs; check {missing}. `lineage.runs` lists all.")


def _tasks(runs: Iterable[Row], dag_id: str, run_id: str) -> dict[str, list[Row]]:
    """Return a run's records by task; a mapped task has several."""
    found: dict[str, list[Row]] = {}
    for row in runs:
        if row["dag_id"] == dag_id and row["run_id"] == run_id:
            found.setdefault(row["task_id"], []).append(row)
    if not found:
        raise PermanentError(f"{dag_id} has no lineage record of run {run_id}.")
    return found


def _changes(task_id: str, one: Mapping[str, list[Row]], other: Mapping[str, list[Row]]) -> Iterable[Change]:
    if task_id not in one or task_id not in other:
        ran, not_run = "ran", "did not run"
        yield Change(task_id, "task", *((ran, not_run) if task_id in one else (not_run, ran)))
        return
    before, after = _told(one[task_id]), _told(other[task_id])
    for what in sorted({*before, *after}):
        if before.get(what) != after.get(what):
            yield Change(task_id, what, before.get(what, ""), after.get(what, ""))


def _told(records: Iterable[Row]) -> dict[str, str]:
    """Return what a task's records say, as text by name: versions, counts added up, details."""
    told: dict[str, str] = {}
    versions: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    for record in records:
        for side in ("inputs", "outputs"):
            for dataset in record[side]:
                versions.setdefault(f"{side[:-1]} {dataset['kind']} {dataset['name']}", set()).add(dataset["version"])
        counts.update(dict(record["counts"]))
        told |= {f"detail {name}": value for name, value in dict(record["details"]).items()}
    told |= {f"count {name}": str(number) for name, number in counts.items()}
    return told | {name: _listed(found) for name, found in versions.items()}


def _listed(versions: set[str]) -> str:
    shown = sorted(versions)[:_SHOWN]
    return ", ".join(shown) + (f" and {len(versions) - _SHOWN} more" if len(versions) > _SHOWN else "")
