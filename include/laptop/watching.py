"""Follow a DAG run: what each of its tasks is doing, counted where a task is mapped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from laptop.airflow_api import AirflowApi, DagRun, TaskInstance

_POLL_S = 1.0
FAILED = ("failed", "upstream_failed")
_GOOD_ENDS = ("success", "skipped", "removed")


@dataclass(frozen=True)
class TaskView:
    """One task of a run: its state, or, where it is mapped and expanded, how many instances are in which.

    ``state`` is Airflow's word (empty before the task is scheduled); ``total`` is 0 unless the task is expanded.
    """

    task_id: str
    state: str
    total: int = 0
    done: int = 0
    failed: int = 0

    @property
    def is_active(self) -> bool:
        """Whether somebody would say that this is what the run is doing now."""
        return self.state in {"running", "deferred", "up_for_retry", "queued", "scheduled"}


@dataclass(frozen=True)
class RunView:
    """A run and its tasks in the order of the flow; ``seconds`` since it was first looked at."""

    run: DagRun
    tasks: tuple[TaskView, ...]
    seconds: float


def watch(api: AirflowApi, run: DagRun) -> Iterator[RunView]:
    """Yield the run as it is, about once a second, until and with its end."""
    mapped = api.mapped_tasks(run.dag_id)
    began = time.monotonic()
    while True:
        # The run first: tasks that are read after a run has ended are final.
        run = api.run(run.dag_id, run.run_id)
        yield RunView(run, _tasks(api, run, mapped), time.monotonic() - began)
        if run.finished:
            return
        time.sleep(_POLL_S)


def failed_instances(api: AirflowApi, run: DagRun) -> list[TaskInstance]:
    """Return the task instances that failed themselves, not those that could not start because of it."""
    return api.task_instances(run, state="failed")


def _tasks(api: AirflowApi, run: DagRun, mapped: dict[str, bool]) -> tuple[TaskView, ...]:
    single = {instance.task_id: instance for instance in api.task_instances(run, map_index=-1)}
    return tuple(
        TaskView(task_id, single[task_id].state) if task_id in single else _mapped_task(api, run, task_id)
        for task_id in mapped
    )


def _mapped_task(api: AirflowApi, run: DagRun, task_id: str) -> TaskView:
    total = api.count_instances(run, task_id=task_id)
    done = api.count_instances(run, task_id=task_id, state=_GOOD_ENDS)
    failed = api.count_instances(run, task_id=task_id, state=FAILED)
    end = "failed" if failed else "success"
    return TaskView(task_id, "running" if done + failed < total else end, total, done, failed)
