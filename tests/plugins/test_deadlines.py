"""Runs that take too long are told of, and which ones are."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DeadlineReference
from airflow.sdk._shared.module_loading import import_string

from lookbook.notices import Notice
from lookbook_airflow import deadlines

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
    assert (alert.reference, alert.interval) == (DeadlineReference.DAGRUN_QUEUED_AT, timedelta(hours=4))
    callback = import_string(alert.callback.path)
    assert inspect.iscoroutinefunction(callback)
    inspect.signature(callback).bind(**alert.callback.kwargs, context={})


async def test_a_run_that_is_late_is_told_of(told: list[Notice]) -> None:
    await deadlines.tell_of_missed(hours=4, context={"dag_run": RUN})
    [notice] = told
    assert notice.subject == "ingest_drop, drop 2026-11-16, has not ended 4 hours after it was queued"
    assert notice.links["Run"].endswith("/dags/ingest_drop/runs/scheduled__2026-11-16T00%3A00%3A00%2B00%3A00")


@pytest.mark.parametrize("run", [{"run_type": "backfill"}, {"run_type": "asset_triggered"}])
async def test_a_run_about_history_may_queue_for_days(told: list[Notice], run: dict[str, Any]) -> None:
    await deadlines.tell_of_missed(hours=4, context={"dag_run": RUN | run | {"partition_key": "2018-06-04"}})
    assert told == []
