"""Which task instances read and wrote what: the part of ``lineage.runs`` that a description's chain can lead to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from threading import Lock
from typing import Any

import pyarrow.compute as pc
from cachetools import LRUCache, cached
from pyiceberg.expressions import BooleanExpression, IsNull, Reference

from lookbook.catalog import tables
from lookbook.catalog.views import View
from lookbook.lineage.chain import TaskInstance

Row = Mapping[str, Any]

_RUNS = "lineage.runs"
_KEPT = 32  # drops whose records are kept; of one version of the table they never change
_INSTANCE = ("dag_id", "run_id", "task_id", "map_index")
_TOLD = (*_INSTANCE, "started_at", "finished_at", "code_version", "settings_sha256")
_COLUMNS = (*_TOLD, "inputs", "outputs", "counts", "details")


class _Recorded:
    """The records of a drop, or of none, at one version of the table: by run, by what was written, by task instance."""

    def __init__(self, unmapped: list[Row], mapped: list[Row]) -> None:
        self.of_run: dict[tuple[str, str], list[Row]] = defaultdict(list)
        self.wrote: dict[str, list[tuple[Row, Row]]] = defaultdict(list)
        for row in sorted(unmapped, key=lambda row: row["finished_at"]):
            self.of_run[row["dag_id"], row["run_id"]].append(row)
            for output in row["outputs"]:
                self.wrote[output["kind"]].append((output, row))
        self.instances = {_key(row): row for row in (*mapped, *unmapped)}


class Runs:
    """The lineage records that a description's chain can lead to: those of its drop, and those of no drop."""

    def __init__(self, drop_id: str) -> None:
        view = View(_RUNS)
        self._parts = (_recorded(view, drop_id), _recorded(view, None))

    def tasks_of(self, dag_id: str, run_id: str, *task_ids: str) -> tuple[TaskInstance, ...]:
        """Return the unmapped tasks of these names in a run."""
        return tuple(_instance(row) for row in self._of_run(dag_id, run_id) if row["task_id"] in task_ids)

    def describing(self, row: Row) -> TaskInstance:
        """Return the task instance that a description names, with its record if it left one."""
        found = next((part.instances[_key(row)] for part in self._parts if _key(row) in part.instances), None)
        return _instance(found) if found else TaskInstance(**{name: row[name] for name in _INSTANCE})

    def writers(self, kind: str, matches: Callable[[Row], bool]) -> tuple[TaskInstance, ...]:
        """Return the unmapped tasks that wrote a dataset of ``kind`` that ``matches``; who made it comes first."""
        return tuple(_instance(row) for output, row in self._wrote(kind) if matches(output))

    def last_writer(self, kind: str, name: str, before: datetime | None) -> TaskInstance | None:
        """Return the unmapped task that wrote a dataset last, before a time if one is given."""
        rows = [row for output, row in self._wrote(kind) if output["name"] == name]
        in_time = [row for row in rows if before is None or row["finished_at"] <= before]
        return _instance(in_time[-1]) if in_time else None

    def outputs_of(self, dag_id: str, run_id: str, kind: str) -> Iterator[tuple[Row, Row]]:
        """Yield what a run's unmapped tasks wrote of a kind, each with the record that says so."""
        for row in self._of_run(dag_id, run_id):
            yield from ((one, row) for one in row["outputs"] if one["kind"] == kind)

    def began(self, row: Row) -> datetime | None:
        """Return when the run that ``row`` names began its first recorded task, ``None`` without a record."""
        return min((one["started_at"] for one in self._of_run(row["dag_id"], row["run_id"])), default=None)

    def version_read(self, dag_id: str, run_id: str, name: str) -> str | None:
        """Return the last version of a dataset that a run's unmapped tasks read, ``None`` without a record."""
        of_run = self._of_run(dag_id, run_id)
        versions = [read["version"] for one in of_run for read in one["inputs"] if read["name"] == name]
        return versions[-1] if versions else None

    def _of_run(self, dag_id: str, run_id: str) -> list[Row]:
        return [row for part in self._parts for row in part.of_run.get((dag_id, run_id), ())]

    def _wrote(self, kind: str) -> list[tuple[Row, Row]]:
        found = [pair for part in self._parts for pair in part.wrote.get(kind, ())]
        return sorted(found, key=lambda pair: pair[1]["finished_at"])


@cached(LRUCache(_KEPT), key=lambda view, drop_id: (view.location, view.head, drop_id), lock=Lock())
def _recorded(view: View, drop_id: str | None) -> _Recorded:
    rows = view.rows(_of_drop(drop_id), _COLUMNS)
    unmapped = pc.equal(rows["map_index"], -1)
    mapped = rows.filter(pc.invert(unmapped)).select(_TOLD).to_pylist()
    return _Recorded(rows.filter(unmapped).to_pylist(maps_as_pydicts="strict"), mapped)


def _of_drop(drop_id: str | None) -> BooleanExpression:
    return IsNull(term=Reference("drop_id")) if drop_id is None else tables.equals("drop_id", drop_id)


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _INSTANCE)


def _instance(row: Row) -> TaskInstance:
    told = {name: row[name] for name in (*_INSTANCE, "code_version", "settings_sha256")}
    return TaskInstance(**told, finished_at=row["finished_at"].isoformat())
