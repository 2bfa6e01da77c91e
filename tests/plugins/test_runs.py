from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from tests.drops.small import DROP_ID, HEADER, line

from lookbook import storage
from lookbook.drops import discovery, lease
from lookbook.drops.lease import Holder
from lookbook.errors import PermanentError, RetryableError
from lookbook_airflow import runs


def context(run_id: str, unfinished: tuple[str, ...] = ()) -> Any:
    """A task's context in an Airflow where the runs ``unfinished`` have not ended."""

    def count(_dag_id: str, run_ids: list[str], states: list[str]) -> int:
        assert states == ["queued", "running"]
        return len(set(run_ids) & set(unfinished))

    ti = SimpleNamespace(dag_id="ingest_drop", run_id=run_id, get_dr_count=count)
    return {"ti": ti, "run_id": run_id, "dag_run": SimpleNamespace(partition_key=DROP_ID), "params": {}}


def run_of_type(run_type: str) -> Any:
    return {"dag_run": SimpleNamespace(run_type=run_type)}


def test_a_backfill_passes_over_a_monday_without_a_drop(bucket: str) -> None:
    with (
        pytest.raises(AirflowSkipException, match="There is no drop 2026-11-16"),
        runs.skipping_other_mondays(run_of_type("backfill")),
    ):
        discovery.discover(DROP_ID)


@pytest.mark.parametrize("run_type", ["scheduled", "manual"])
def test_a_run_for_one_drop_fails_without_it(bucket: str, run_type: str) -> None:
    with (
        pytest.raises(PermanentError, match="There is no drop 2026-11-16"),
        runs.skipping_other_mondays(run_of_type(run_type)),
    ):
        discovery.discover(DROP_ID)


def test_a_drop_without_pictures_fails_in_a_backfill_too(bucket: str) -> None:
    storage.write_bytes(f"s3://lookbook/drops/{DROP_ID}/styles.csv", f"{HEADER}\n{line(1)}\n".encode())
    with pytest.raises(PermanentError, match="holds no pictures"), runs.skipping_other_mondays(run_of_type("backfill")):
        discovery.discover(DROP_ID)


def enter(monkeypatch: pytest.MonkeyPatch, entered: Any) -> Any:
    monkeypatch.setattr(runs, "get_current_context", lambda: entered)
    return entered


def test_a_run_waits_for_one_that_has_not_ended(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs.take_drop(enter(monkeypatch, context("one"))) == DROP_ID
    with pytest.raises(RetryableError, match="run one of ingest_drop"):
        runs.take_drop(enter(monkeypatch, context("two", unfinished=("one",))))


def test_a_run_takes_the_drop_of_one_that_has_ended(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = context("one"), context("two")
    runs.take_drop(enter(monkeypatch, one))
    runs.take_drop(enter(monkeypatch, two))
    runs.keep_drop(two)
    lease.keep(DROP_ID, Holder("ingest_drop", "two"))
    with pytest.raises(PermanentError, match="no longer belongs to run one"):
        runs.keep_drop(one)
