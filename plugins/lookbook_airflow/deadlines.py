"""Runs that take too long: people are told, and the run goes on.

Airflow's scheduler looks for deadlines that passed, and has the triggerer await what is to be done then: so it must be
a coroutine function that can be imported, and gets little of the run but its ids (decision 0035).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import AsyncCallback, DeadlineAlert
from airflow.sdk.definitions.deadline import BaseDeadlineReference

from lookbook.notices import Notice
from lookbook_airflow.notifiers import links_of, named, tell
from lookbook_airflow.priorities import is_history

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)


class RunCreated(BaseDeadlineReference):
    """The moment a run is made, from which its deadline counts.

    Airflow's own reference, when a run was queued, would do, were it not for 3.3.2: clearing a task of a run that has
    such a deadline ends in a TypeError, and nothing is cleared.
    """

    def _evaluate_with(self, *, session: Session, **_: Any) -> datetime:
        """Return the time: Airflow asks while it makes the run."""
        return datetime.now(UTC)


def deadline(hours: float) -> DeadlineAlert:
    """Return the alert of a DAG whose runs are to end within so many hours from when they were made."""
    return DeadlineAlert(
        name=f"{hours:g} hours",
        reference=RunCreated(),
        interval=timedelta(hours=hours),
        callback=AsyncCallback(tell_of_missed, kwargs={"hours": hours}),
    )


async def tell_of_missed(hours: float, context: Mapping[str, Any]) -> None:
    """Tell of a run that has not ended in time; of one about history, whose runs queue for days, only the log.

    Args:
        hours: how long the run could take.
        context: ``dag_run`` as the REST API shows it.
    """
    run = context["dag_run"]
    if is_history(run["run_type"], run["partition_key"], run["conf"]):
        log.info(
            "Run %s of %s has not ended within %g hours: it is about history.", run["dag_run_id"], run["dag_id"], hours
        )
        return
    late = named(run["dag_id"], run["partition_key"], run["conf"])
    subject = f"{late} has not ended {hours:g} hours after it was made"
    why = f"The run is {run['state']}, and goes on. Is a task retrying, or a question waiting for an answer?"
    # Connections are read and messages sent by blocking calls, which must not hold up the triggerer's loop.
    notice = Notice(subject, why, links_of(run["dag_id"], run["dag_run_id"]))
    await asyncio.to_thread(tell, notice, logging.WARNING)
