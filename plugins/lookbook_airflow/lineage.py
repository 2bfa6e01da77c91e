"""Lineage of every task: what it read and wrote goes to S3, to its XCom and to the asset events it emits.

DAG files use :data:`traced_task` where they would use ``@task``; operators open :func:`traced` around their work.
The library reports datasets from inside (``lookbook.lineage.records``), so no DAG lists them by hand.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context, task

from lookbook.errors import PermanentError
from lookbook.lineage.records import LineageRecord, TaskKey, recording
from lookbook_airflow import metrics
from lookbook_airflow.assets import ATTRIBUTE_MODEL
from lookbook_airflow.clearing import REPLACES, documented, plain_task

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context

LINEAGE_KEY = "lineage"

_latest: LineageRecord | None = None


def drop_of(context: Context) -> str | None:
    """Return the drop a run is about: its partition key, else its *Drop* parameter, else ``None``."""
    from lookbook.drops.discovery import drop_id_of

    named = context["dag_run"].partition_key or context["params"].get("drop")
    return drop_id_of(named) if named else None


def required_drop(context: Context) -> str:
    """Return the drop a run is about.

    Raises:
        PermanentError: the run has neither a partition key nor a *Drop* parameter.
    """
    if drop := drop_of(context):
        return drop
    raise PermanentError(
        f"Run {context['run_id']} names no drop: give it a partition key, or the parameter Drop, e.g. 2026-11-16."
    )


def task_key(context: Context) -> TaskKey:
    """Return the identity of the task instance in ``context``."""
    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return TaskKey(ti.dag_id, ti.run_id, ti.task_id, map_index, ti.try_number, drop_of(context))


@contextmanager
def traced(context: Context) -> Iterator[LineageRecord]:
    """Record what the block reads and writes and hand the record on when it ends well.

    The record is stored as an object in S3 and pushed to XCom under ``lineage``; the events of the task's outlets get
    its summary as ``extra``. A block that raises leaves no record: the next try leaves its own. Metrics and the
    task's OpenLineage event get the record in either case.
    """
    with recording(task_key(context), _bundle_version(context)) as record:
        try:
            yield record
        except BaseException:
            _tell(record)  # a try that fails has paid for what it bought all the same
            raise
    _tell(record)
    _hand_on(record, context)


def _tell(record: LineageRecord) -> None:
    global _latest  # a process runs one task at a time, and OpenLineage's extractor is given no more than the task
    _latest = record
    metrics.emit(record)


def latest_record(task: TaskKey) -> LineageRecord | None:
    """Return the record of a task instance that this process has just run, as far as it came if it failed.

    ``None`` for a task instance that kept no record, or that another process ran.
    """
    return _latest if _latest and replace(_latest.task, drop_id=None) == replace(task, drop_id=None) else None


def _bundle_version(context: Context) -> str | None:
    """Return the version of the DAG bundle that the task's code came from; a plain folder has none."""
    bundle = getattr(context["ti"], "bundle_instance", None)  # `dag.test()` has none
    return bundle.version if bundle else None


def _hand_on(record: LineageRecord, context: Context) -> None:
    from lookbook.lineage import store

    stored = store.save(record)
    context["ti"].xcom_push(LINEAGE_KEY, record.as_dict())
    for outlet in context["task"].outlets:
        context["outlet_events"][outlet].extra = {**record.summary(), **_version(record, outlet), "record": stored.uri}


def _version(record: LineageRecord, asset: Asset) -> dict[str, str | None]:
    """Return which version of what an asset stands for the task left: the package approved, or a table's snapshot."""
    if asset == ATTRIBUTE_MODEL:
        return {"version": record.details.get("approved")}
    return {"snapshot": record.latest("table", asset.uri.removeprefix("lookbook://").replace("/", "."))}


def _wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` run inside :func:`traced`; a coroutine function stays one."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with traced(get_current_context()):
                return await function(*args, **kwargs)

        return run_async

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with traced(get_current_context()):
            return function(*args, **kwargs)

    return run


def traced_task(function: Callable[..., Any] | None = None, *, clear: str = REPLACES, **arguments: Any) -> Any:
    """Declare a task like ``@task`` does; it leaves a lineage record and its result under one XCom key.

    Its docstring becomes its ``doc_md``, for a mapped task too, which ``@task`` alone leaves without, followed by
    whether it may be cleared.
    """
    if function is None:
        return functools.partial(traced_task, clear=clear, **arguments)
    defaults = {"multiple_outputs": False, "doc_md": documented(inspect.getdoc(function), clear)}
    return task(**(defaults | arguments))(_wrap(function))


def traced_short_circuit(*, clear: str = REPLACES, **arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """Declare a task like ``@task.short_circuit`` does; the task leaves a lineage record."""

    def declare(function: Callable[..., Any]) -> Any:
        doc_md = documented(inspect.getdoc(function), clear)
        return task.short_circuit(doc_md=doc_md, **arguments)(_wrap(function))

    return declare


def collect_lineage() -> Any:
    """Return the task that ends every DAG: it commits the run's lineage records to ``lineage.runs``.

    It is a teardown, so that it runs after a failure too and never turns a failed run into a successful one. It waits
    for all that was declared before it, whatever way a run takes: the way back of a deployment leaves records too.
    """
    collecting = _collect().as_teardown()
    own, dag = collecting.operator, collecting.operator.dag
    [last for last in dag.tasks if last is not own and not last.downstream_task_ids] >> collecting
    return collecting


@plain_task(task_id="collect_lineage", clear=REPLACES)
def _collect(dag_run: Any = None) -> dict[str, Any]:
    """Commit what every task of this run read and wrote to `lineage.runs`, in one go."""
    from lookbook.lineage import store

    return store.collect(dag_run.dag_id, dag_run.run_id).reference()
