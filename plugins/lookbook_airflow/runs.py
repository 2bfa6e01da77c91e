"""Which run holds a drop: the library decides by these, since only Airflow knows what became of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from lookbook_airflow.lineage import required_drop

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lookbook.drops.lease import Holder

_UNFINISHED = ["queued", "running"]
_BACKFILL = "backfill"  # a run type


def take_drop(context: Context) -> str:
    """Take the drop of a run for it, and return its id; the run waits while another one works on the drop."""
    from lookbook.drops import lease

    drop_id = required_drop(context)
    lease.take(drop_id, _holder(context), is_over)
    return drop_id


@contextmanager
def skipping_other_mondays(context: Context) -> Iterator[None]:
    """Skip a run of a backfill that finds no drop: a backfill makes one for every Monday of its range.

    Whoever starts a run for one drop has its failure told instead.
    """
    from lookbook.drops.discovery import NoDropError

    try:
        yield
    except NoDropError as nothing:
        if context["dag_run"].run_type != _BACKFILL:
            raise
        raise AirflowSkipException(str(nothing)) from nothing


def keep_drop(context: Context) -> None:
    """Make sure that the run still holds its drop."""
    from lookbook.drops import lease

    lease.keep(required_drop(context), _holder(context))


def is_over(holder: Holder) -> bool:
    """Return whether a run has ended, or was deleted."""
    ti = get_current_context()["ti"]
    return ti.get_dr_count(holder.dag_id, run_ids=[holder.run_id], states=_UNFINISHED) == 0


def has_ended(dag_id: str, run_id: str | None) -> bool | None:
    """Return whether a run has ended, ``None`` if there is no run of that id; without an id, whether all runs have."""
    ti, run_ids = get_current_context()["ti"], [run_id] if run_id else None
    if run_ids and ti.get_dr_count(dag_id, run_ids=run_ids) == 0:
        return None
    return ti.get_dr_count(dag_id, run_ids=run_ids, states=_UNFINISHED) == 0


def _holder(context: Context) -> Holder:
    from lookbook.drops.lease import Holder

    return Holder(context["ti"].dag_id, context["run_id"])
