"""The tasks around whatever needs the endpoint, where it lives only for the runs that need it.

With ``LOOKBOOK_ENDPOINT_LIFE=always`` they do nothing and say so: a setting may not change what a DAG file draws.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context, task

from lookbook_airflow.runs import has_ended

if TYPE_CHECKING:
    from lookbook.serving.life import User

_UP = {"execution_timeout": timedelta(hours=1)}


def with_endpoint(after: Any, *work: Any) -> None:
    """Have the endpoint there, with the champion, before ``work`` begins, and gone after it has ended, well or not.

    Args:
        after: the task that must have gone well before.
        work: tasks, or their results, one after the other or side by side.
    """
    opened = open_endpoint().as_setup()
    after >> opened >> list(work) >> _closed(opened)


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


@task(**_UP)
def open_endpoint() -> dict[str, Any]:
    """Create the endpoint with the champion, where it lives only for runs and is not there."""
    from lookbook.serving import life

    return life.open_for(_user()).reference()


@task(**_UP)
def hold_endpoint() -> None:
    """Keep other runs from deleting the endpoint, where it lives only for runs."""
    from lookbook.serving import life

    life.hold(_user())


@task(**_UP)
def close_endpoint() -> dict[str, Any]:
    """Delete the endpoint, where it lives only for runs and no other run needs it."""
    from lookbook.serving import life

    return life.close_for(_user(), lambda dag_id, run_id: has_ended(dag_id, run_id) is not False).reference()


def _user() -> User:
    from lookbook.serving.life import User

    context = get_current_context()
    return User(context["ti"].dag_id, context["run_id"])
