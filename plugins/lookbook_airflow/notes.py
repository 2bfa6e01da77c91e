"""Notes of runs: when a run ends, what came of it is written into its note, where the UI lists runs.

The Task SDK offers tasks no way to write one, and the REST API wants an account. A listener is given the run as the
scheduler holds it, in the transaction that ends it (docs/decisions/0035-who-is-told-of-what.md).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

_MARK = "**What came of it:** "
_LONGEST = 1000  # what Airflow's table takes


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """Note what came of a run that went well."""
    _note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Note what came of a run that failed: as far as it got."""
    _note(dag_run)


def with_summary(note: str | None, summary: str) -> str:
    """Return a note that ends with a run's summary: what a person wrote stays, a former summary doesn't.

    It is never longer than Airflow's table takes; of too long a summary its beginning stays.
    """
    written = (note or "").partition(_MARK)[0].rstrip()
    room = max(0, _LONGEST - len(written) - 2 - len(_MARK))
    short = summary if len(summary) <= room else f"{summary[: max(0, room - 1)]}…"
    return "\n\n".join(part for part in (written, _MARK + short) if part) if room else written


def _note(dag_run: DagRun) -> None:
    """Write the note within a savepoint: whatever goes wrong with it, the run ends as it does.

    By statements on the connection: a flush that fails would take the session's whole transaction with it, and the
    scheduler forbids its session even the commit that releases a savepoint.
    """
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    try:
        connection = session.connection()
        with connection.begin_nested():
            if summary := _summary(dag_run, connection):
                _write(dag_run.id, summary, connection)
    except Exception:
        log.exception("Run %s of %s gets no note", dag_run.run_id, dag_run.dag_id)


def _summary(dag_run: DagRun, connection: Connection) -> str | None:
    """Return the line that the run's last task left, ``None`` where it left none."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    left = select(XComModel.value).filter_by(
        dag_id=dag_run.dag_id, run_id=dag_run.run_id, task_id="collect_lineage", key="return_value"
    )
    found = connection.execute(left).first()
    collected = XComModel.deserialize_value(found) if found else None
    return collected.get("summary") if isinstance(collected, dict) else None


def _write(dag_run_id: int, summary: str, connection: Connection) -> None:
    from airflow.models.dagrun import DagRunNote
    from sqlalchemy import insert, select, update

    table = DagRunNote.__table__
    of_run = table.c.dag_run_id == dag_run_id
    content = with_summary(connection.scalar(select(table.c.content).where(of_run)), summary)
    if not connection.execute(update(table).where(of_run).values(content=content)).rowcount:
        connection.execute(insert(table).values(dag_run_id=dag_run_id, content=content))
