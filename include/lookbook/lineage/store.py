"""Where lineage records are kept: an object per task instance at once, ``lineage.runs`` when the run ends.

Tasks run side by side and must not commit to a table side by side, so each leaves an object under a key of its own;
:func:`collect` then commits all of a run's records at once. Clearing and collecting again replaces them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson

from lookbook import storage
from lookbook.lineage import summaries
from lookbook.lineage.records import LineageRecord, TaskKey
from lookbook.settings import get_settings, recorded
from lookbook.storage import key_part

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collected:
    """A run's records in ``lineage.runs``; ``snapshot`` is ``None`` when the run left no record.

    ``summary`` says in one line what came of the run (:mod:`lookbook.lineage.summaries`).
    """

    dag_id: str
    run_id: str
    records: int
    snapshot: str | None
    summary: str = ""

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def save(record: LineageRecord) -> storage.StoredObject:
    """Store a finished record, and once the settings that it names; a later try of the task instance replaces it."""
    settings = recorded()
    if settings.sha256 == record.settings_sha256:
        storage.write_once(settings_uri(settings.sha256), settings.content)
    return storage.write_json(record_uri(record.task), record.as_dict())


def settings_uri(sha256: str) -> str:
    """Return where the settings lie that records name by this checksum."""
    return f"s3://{get_settings().bucket}/lineage/settings/{sha256}.json"


def record_uri(task: TaskKey) -> str:
    """Return where a task instance's record lies."""
    return f"{run_uri(task.dag_id, task.run_id)}{key_part(task.task_id)}/{task.map_index}.json"


def run_uri(dag_id: str, run_id: str) -> str:
    """Return the prefix of a run's records."""
    return f"s3://{get_settings().bucket}/lineage/{key_part(dag_id)}/{key_part(run_id)}/"


def collect(dag_id: str, run_id: str) -> Collected:
    """Commit all records of a run to ``lineage.runs`` in one go, in place of those collected before."""
    uris = [stored.uri for stored in storage.list_objects(run_uri(dag_id, run_id))]
    if not uris:
        log.warning("Run %s of %s left no lineage record.", run_id, dag_id)
        return Collected(dag_id, run_id, 0, None)
    stored = [orjson.loads(content) for content in storage.read_all(uris) if content]
    rows = [_row(record) for record in stored]
    return Collected(dag_id, run_id, len(rows), _commit(dag_id, run_id, rows), summaries.of_run(stored))


def _commit(dag_id: str, run_id: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Put rows in place of a run's; all are about one drop or about none, so that Iceberg looks at no other."""
    # Here, since every task imports this module to store its record, and most touch no table.
    import pyarrow as pa
    from pyiceberg.expressions import And, IsNull, Reference

    from lookbook.catalog import tables
    from lookbook.catalog.schemas import RUNS

    of_run = And(tables.equals("dag_id", dag_id), tables.equals("run_id", run_id))
    drops = {row["drop_id"] for row in rows}
    if len(drops) == 1:
        (drop_id,) = drops
        of_run = And(tables.equals("drop_id", drop_id) if drop_id else IsNull(term=Reference("drop_id")), of_run)
    return tables.replace("lineage.runs", pa.Table.from_pylist(rows, schema=RUNS), of_run)


def _row(stored: dict[str, Any]) -> dict[str, Any]:
    times = {name: datetime.fromisoformat(stored[name]) for name in ("started_at", "finished_at")}
    maps = {name: list(stored[name].items()) for name in ("counts", "details")}
    return {**stored, **stored["task"], **times, **maps}  # what is not among the columns is left out
