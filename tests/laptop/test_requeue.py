"""What `make requeue` asks of Airflow, with a client that only listens."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from tests.drops.small import DROP_ID, HEADER, line

from laptop import demo, watching
from laptop.airflow_api import DagRun
from laptop.demo import REQUEUE, Driver
from laptop.errors import LaptopError
from lookbook import storage
from lookbook.catalog import mending


class ListeningApi:
    """An Airflow with one open requeue, of the drop of the week before."""

    def __init__(self) -> None:
        self.open = [DagRun(REQUEUE, "earlier", "running", None, {"drop": "2026-11-09"})]
        self.failed: list[str] = []
        self.conf: dict[str, Any] = {}

    def open_runs(self, dag_id: str) -> list[DagRun]:
        return self.open

    def fail_run(self, run: DagRun) -> None:
        self.failed.append(run.run_id)

    def set_paused(self, dag_id: str, paused: bool) -> None:
        assert (dag_id, paused) == (REQUEUE, False)

    def trigger(self, dag_id: str, partition_key: str | None, conf: dict[str, Any]) -> DagRun:
        self.conf = conf
        return DagRun(dag_id, "new", "queued", partition_key, conf)


@pytest.fixture
def driver(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver.__new__(Driver)
    made._api, made._console = ListeningApi(), Console(quiet=True)
    monkeypatch.setattr(Driver, "_training_log", lambda self: None)
    ended = DagRun(REQUEUE, "new", "success", None)
    monkeypatch.setattr(watching, "watch", lambda api, run: [SimpleNamespace(tasks=[], run=ended)])
    monkeypatch.setattr(demo, "reporter", lambda console: _Silent())
    return made


class _Silent:
    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, view: Any, training: list[str]) -> None: ...


def test_mended_rows_are_uploaded_for_the_drop(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "mended.csv").write_text(f"line_number,{HEADER}\n4,{line(3)}\n")
    driver.requeue(DROP_ID, None, tmp_path / "mended.csv")
    assert driver._api.conf["drop"] == DROP_ID
    assert mending.read(driver._api.conf["rows"], DROP_ID).cells[4]["id"] == "3"


def test_a_requeue_ends_an_earlier_one_of_its_own_drop_alone(driver: Driver) -> None:
    driver.requeue(DROP_ID, "bad_year", None)
    assert driver._api.failed == []
    driver.requeue("2026-11-09", None, None)
    assert driver._api.failed == ["earlier"]


@pytest.mark.parametrize(("name", "problem"), [("nothing.csv", "No such file"), ("notes.txt", "has not the columns")])
def test_what_is_no_file_of_mended_rows_starts_nothing(driver: Driver, tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(LaptopError, match=problem):
        driver.requeue(DROP_ID, None, tmp_path / name)
    assert driver._api.conf == {}
    assert list(storage.list_objects("s3://lookbook/mended/")) == []
