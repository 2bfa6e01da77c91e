"""The tasks around whatever needs the endpoint, where it lives only for the runs that need it.

With ``LOOKBOOK_ENDPOINT_LIFE=always`` they do nothing and say so: a setting may not change what a DAG file draws.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TriggerRule, get_current_context

from lookbook_airflow.clearing import HANDS_ON, SAME_AGAIN, documented, plain_task
from lookbook_airflow.lineage import traced_task
from lookbook_airflow.runs import has_ended

if TYPE_CHECKING:
    from lookbook.serving.life import User

_UP = {"execution_timeout": timedelta(hours=1), "clear": SAME_AGAIN}


def with_endpoint(job: Any, work: Any, *, last: Any = None, after: Any = None) -> None:
    """Have the endpoint there, with the champion, before ``work`` begins, and gone after it has ended, well or not.

    Args:
        job: the reference of the transform job that answers in the endpoint's place; its task may be skipped. ``None``
            where there is none to do so.
        work: the task that asks, or its result.
        last: the task that needs the endpoint last, if that is another one.
        after: the task that must have gone well before, beside the job's.
    """
    opened = open_endpoint(job).as_setup()
    if after is not None:
        after >> opened
    # What follows a setup must follow its success, and the work follows the job's task, too, which may be skipped.
    there = documented("The endpoint is there, or needn't be.", HANDS_ON)
    endpoint_is_there = EmptyOperator(task_id="endpoint_is_there", doc_md=there)
    opened >> endpoint_is_there >> work
    (last or work) >> _closed(opened)


def endpoint_held(after: Any, first: Any, *last: Any) -> None:
    """Hold the endpoint from before ``first`` begins until all of ``last`` have ended: nobody deletes it under it.

    Args:
        after: the task that must have gone well before.
        first: the task that creates or updates the endpoint.
        last: those that need it last, whichever of them come to run.
    """
    held = hold_endpoint().as_setup()
    after >> held >> first
    list(last) >> _closed(held)


def _closed(setup: Any) -> Any:
    """Return the task that lets go of the endpoint; it runs after a failure too, and hides none.

    Were the run to fail with it, it would count as the run's last task, and a failure before it would not. One that
    fails is told like any other, and housekeeping deletes what it left.
    """
    return close_endpoint().as_teardown(setups=setup)


@traced_task(**_UP, trigger_rule=TriggerRule.NONE_FAILED)
def open_endpoint(job: dict[str, Any] | None) -> dict[str, Any]:
    """Create the endpoint with the champion, where it lives only for runs, is not there and no job answers instead."""
    from lookbook.serving import life

    opened = life.Opened(False, None, "a transform job answers") if job else life.open_for(_user())
    return opened.reference()


@plain_task(**_UP)
def hold_endpoint() -> None:
    """Keep other runs from deleting the endpoint, where it lives only for runs."""
    from lookbook.serving import life

    life.hold(_user())


@traced_task(**_UP)
def close_endpoint() -> dict[str, Any]:
    """Delete the endpoint, where it lives only for runs and no other run needs it."""
    from lookbook.serving import life

    return life.close_for(_user(), lambda dag_id, run_id: has_ended(dag_id, run_id) is not False).reference()


def _user() -> User:
    from lookbook.serving.life import User

    context = get_current_context()
    return User(context["ti"].dag_id, context["run_id"])
