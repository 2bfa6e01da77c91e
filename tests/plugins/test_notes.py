"""When a run ends its note says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.models.dagrun import DagRun
from airflow.sdk import DAG, task
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import prohibit_commit
from sqlalchemy import select
from sqlalchemy.orm import Session

from lookbook_airflow import notes
from lookbook_plugin import LookbookPlugin

Run = Callable[..., Any]  # the fixture of tests/plugins/conftest.py
NOTED = "**What came of it:** 20 rows: 19 published"


@pytest.fixture
def run_id(run_dag: Run) -> str:
    """A run whose last task left a summary."""
    with DAG("noted", schedule=None, catchup=False) as dag:

        @task(multiple_outputs=False)
        def collect_lineage() -> dict[str, Any]:
            return {"records": 1, "summary": "20 rows: 19 published"}

        collect_lineage()
    return str(run_dag(dag).run_id)


@pytest.fixture
def session(run_id: str) -> Iterator[Session]:
    with create_session() as session:
        yield session


def find(session: Session, run_id: str) -> DagRun:
    session.expire_all()
    return session.scalars(select(DagRun).where(DagRun.run_id == run_id)).one()


def test_airflow_is_told_to_listen() -> None:
    assert LookbookPlugin.listeners == [notes]


def test_a_run_that_ended_is_noted_in_the_transaction_that_ends_it(run_id: str, session: Session) -> None:
    dag_run = find(session, run_id)
    dag_run.note = "Mind the pictures."
    session.commit()
    with prohibit_commit(session) as guard:  # as the scheduler does
        notes.on_dag_run_success(dag_run=dag_run, msg="success")
        guard.commit()
    assert find(session, run_id).note == f"Mind the pictures.\n\n{NOTED}"
    notes.on_dag_run_failed(dag_run=dag_run, msg="task_failure")
    assert find(session, run_id).note == f"Mind the pictures.\n\n{NOTED}"


def test_a_note_that_cannot_be_written_changes_nothing_about_the_run(
    run_id: str, session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notes, "with_summary", lambda note, summary: object())  # what no database takes
    dag_run = find(session, run_id)
    dag_run.creating_job_id = 42  # what the scheduler changes meanwhile
    with prohibit_commit(session) as guard:
        notes.on_dag_run_success(dag_run=dag_run, msg="success")
        guard.commit()
    assert "gets no note" in caplog.text
    found = find(session, run_id)
    assert (found.note, found.creating_job_id) == (None, 42)


def test_what_a_person_wrote_stays_and_a_former_summary_does_not() -> None:
    once = notes.with_summary("Mind the pictures.", "20 rows")
    assert once == "Mind the pictures.\n\n**What came of it:** 20 rows"
    assert notes.with_summary(once, "21 rows") == "Mind the pictures.\n\n**What came of it:** 21 rows"
    assert notes.with_summary(None, "20 rows") == "**What came of it:** 20 rows"


@pytest.mark.parametrize("written", ["", "x" * 900, "x" * 1000])
def test_a_note_is_never_longer_than_airflow_takes(written: str) -> None:
    noted = notes.with_summary(written, "y" * 2000)
    assert len(noted) <= 1000 and noted.startswith(written)
