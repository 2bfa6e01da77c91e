"""Runs that take too long are told of, and which ones are."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow import plugins_manager
from airflow.sdk._shared.module_loading import import_string, qualname
from airflow.serialization.decoders import decode_deadline_alert
from airflow.serialization.encoders import encode_deadline_alert

from lookbook.notices import Notice
from lookbook_airflow import deadlines
from lookbook_plugin import LookbookPlugin

RUN = {
    "dag_id": "ingest_drop",
    "dag_run_id": "scheduled__2026-11-16T00:00:00+00:00",
    "run_type": "scheduled",
    "partition_key": "2026-11-16",
    "conf": {},
    "state": "running",
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Notice]:
    """What people are told."""
    notices: list[Notice] = []
    monkeypatch.setattr(deadlines, "tell", lambda notice, level: notices.append(notice))
    return notices


def test_airflow_can_import_and_await_what_is_done_when_a_deadline_is_missed() -> None:
    alert = deadlines.deadline(4)
    assert alert.interval == timedelta(hours=4)
    callback = import_string(alert.callback.path)
    assert inspect.iscoroutinefunction(callback)
    inspect.signature(callback).bind(**alert.callback.kwargs, context={})


def test_a_deadline_counts_from_when_its_run_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    [reference] = LookbookPlugin().deadline_references
    monkeypatch.setattr(plugins_manager, "get_deadline_references_plugins", lambda: {qualname(reference): reference})
    stored = encode_deadline_alert(deadlines.deadline(4))
    # Clearing a task fails in Airflow 3.3.2 where the reference is its own: when a run was queued.
    assert stored["reference"]["reference_type"] != "DagRunQueuedAtDeadline"
    alert = decode_deadline_alert({"__var": stored})
    before = datetime.now(UTC)
    due = alert.reference.evaluate_with(session=None, interval=alert.interval, dag_id="ingest_drop", run_id="manual__1")
    assert before <= due - timedelta(hours=4) <= datetime.now(UTC)


async def test_a_run_that_is_late_is_told_of(told: list[Notice]) -> None:
    await deadlines.tell_of_missed(hours=4, context={"dag_run": RUN})
    [notice] = told
    assert notice.subject == "ingest_drop, drop 2026-11-16, has not ended 4 hours after it was made"
    assert notice.links["Run"].endswith("/dags/ingest_drop/runs/scheduled__2026-11-16T00%3A00%3A00%2B00%3A00")


@pytest.mark.parametrize("run", [{"run_type": "backfill"}, {"run_type": "asset_triggered"}])
async def test_a_run_about_history_may_queue_for_days(told: list[Notice], run: dict[str, Any]) -> None:
    await deadlines.tell_of_missed(hours=4, context={"dag_run": RUN | run | {"partition_key": "2018-06-04"}})
    assert told == []
