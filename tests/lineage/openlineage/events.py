"""Lineage records, and the run events that they become, without Airflow."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.serde import Serde

from lookbook.lineage.openlineage.datasets import TaskLineage
from lookbook.lineage.records import Dataset, LineageRecord, TaskKey

DROP = "2026-11-16"


def record(
    task_id: str, inputs: list[Dataset] | None = None, outputs: list[Dataset] | None = None, **more: Any
) -> LineageRecord:
    """Return the record of a task of the drop's ingest."""
    task = TaskKey("ingest_drop", "run-1", task_id, drop_id=DROP)
    began = datetime(2026, 11, 16, tzinfo=UTC)
    return LineageRecord(task, began, "abc1234", "5e77", inputs=inputs or [], outputs=outputs or [], **more)


def event(told: TaskLineage, job: str = "ingest_drop.task", state: RunState = RunState.COMPLETE) -> dict[str, Any]:
    """Return the event that tells of a task, as it is sent."""
    sent = RunEvent(
        eventTime=datetime.now(UTC).isoformat(),
        eventType=state,
        run=Run(str(uuid4()), told.run_facets),
        job=Job("lookbook", job),
        inputs=told.inputs,
        outputs=told.outputs,
        producer="urn:lookbook:source",
    )
    body: dict[str, Any] = json.loads(Serde.to_json(sent))
    return body
