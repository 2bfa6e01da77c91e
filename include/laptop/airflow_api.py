"""A small client of Airflow's REST API: what the laptop's commands need, typed."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import httpx

from laptop.errors import LaptopError
from laptop.keys import USERNAME

FINISHED = frozenset({"success", "failed"})
_OPEN = ("queued", "running")
_PAGE = 100
_ATTEMPTS = 5
_PATIENCE_S = 1.0
# It trusts nobody, for all is plain HTTP on this machine: reading the certificate authorities would take 40 ms of CPU a
# client, which those who wait for a start make several times a second.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG."""

    dag_id: str
    run_id: str
    state: str
    partition_key: str | None
    conf: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end, good or bad."""
        return self.state in FINISHED


@dataclass(frozen=True)
class TaskInstance:
    """One task of a run. ``map_index`` is -1 where it isn't mapped, ``state`` empty before it is scheduled.

    ``started`` and ``ended`` are those of its last try, and so is ``id``, which Airflow's processes call it by.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    try_number: int
    label: str | None
    started: datetime | None = None
    ended: datetime | None = None
    id: str | None = None


@dataclass(frozen=True)
class Dag:
    """A DAG and when Airflow last parsed it."""

    dag_id: str
    paused: bool
    last_parsed: datetime | None


class AirflowApi:
    """The API of one Airflow, logged in on first use. Addresses and password are the laptop's own."""

    def __init__(self, url: str, password: str, timeout: float = 30.0) -> None:
        self._client = httpx.Client(base_url=url, timeout=timeout, verify=NO_CERTIFICATES)
        self._password = password

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def health(self) -> dict[str, str]:
        """Return the status of each component that Airflow watches, e.g. ``{"scheduler": "healthy"}``."""
        report = self._send("GET", "/api/v2/monitor/health")
        return {name: str(entry.get("status")) for name, entry in report.items()}

    def dags(self) -> list[Dag]:
        """Return every DAG."""
        return [
            Dag(entry["dag_id"], entry["is_paused"], _moment(entry["last_parsed_time"]))
            for entry in self._get("/dags", limit=_PAGE)["dags"]
        ]

    def import_errors(self, since: datetime) -> dict[str, str]:
        """Return what has kept DAG files from being read since a moment: file name to traceback."""
        return {
            entry["filename"]: entry["stack_trace"]
            for entry in self._get("/importErrors")["import_errors"]
            if datetime.fromisoformat(entry["timestamp"]) >= since
        }

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause a DAG or let it run."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": paused})

    def import_pools(self, pools: dict[str, dict[str, Any]]) -> None:
        """Create or change pools, given as ``airflow pools import`` reads them."""
        entities = [{"name": name, **pool} for name, pool in pools.items()]
        action = {"action": "create", "action_on_existence": "overwrite", "entities": entities}
        errors = self._send("PATCH", "/api/v2/pools", {"actions": [action]})["create"]["errors"]
        if errors:
            raise LaptopError(f"Airflow refused a pool: {errors[0].get('error', errors[0])}")

    def trigger(self, dag_id: str, partition_key: str | None = None, conf: dict[str, Any] | None = None) -> DagRun:
        """Start a run, for one partition if ``partition_key`` is given."""
        body = {"logical_date": None, "partition_key": partition_key, "conf": conf or {}}
        return _dag_run(self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body))

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """Return a run as it is now."""
        return _dag_run(self._get(f"/dags/{dag_id}/dagRuns/{run_id}"))

    def runs(self, dag_id: str) -> list[DagRun]:
        """Return the DAG's latest runs, newest first."""
        return [_dag_run(entry) for entry in self._get(f"/dags/{dag_id}/dagRuns", order_by="-id")["dag_runs"]]

    def open_runs(self, dag_id: str) -> list[DagRun]:
        """Return the runs that have not come to their end."""
        return [_dag_run(entry) for entry in self._get(f"/dags/{dag_id}/dagRuns", state=_OPEN)["dag_runs"]]

    def fail_run(self, run: DagRun) -> None:
        """Mark a run and its open tasks failed; tasks that are running are ended."""
        self._send("PATCH", f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}", {"state": "failed"})

    def mapped_tasks(self, dag_id: str) -> dict[str, bool]:
        """Return the DAG's tasks in the order they depend on one another, each with whether it is mapped."""
        return _in_order(self._get(f"/dags/{dag_id}/tasks")["tasks"])

    def task_instances(self, run: DagRun, **filters: Any) -> list[TaskInstance]:
        """Return a run's task instances that match ``filters`` (``state``, ``task_id``, ``map_index``)."""
        found: list[TaskInstance] = []
        while True:
            page = self._get(_tasks_path(run), limit=_PAGE, offset=len(found), **filters)
            found += [_task_instance(entry) for entry in page["task_instances"]]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def count_instances(self, run: DagRun, **filters: Any) -> int:
        """Return how many of a run's task instances match ``filters``."""
        return int(self._get(_tasks_path(run), limit=1, **filters)["total_entries"])

    def xcom(self, run: DagRun, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return what a task pushed, or ``None`` if it pushed nothing."""
        path = f"{_tasks_path(run)}/{task_id}/xcomEntries/{key}"
        response = self._request("GET", f"/api/v2{path}", params={"map_index": map_index})
        return None if response.status_code == httpx.codes.NOT_FOUND else _checked(response)["value"]

    def asset_events(self, run: DagRun) -> list[dict[str, Any]]:
        """Return the asset events that a run emitted, with their ``extra``."""
        events: list[dict[str, Any]] = self._get(
            "/assets/events", source_dag_id=run.dag_id, source_run_id=run.run_id, limit=_PAGE
        )["asset_events"]
        return events

    def _get(self, path: str, **params: Any) -> Any:
        return self._send("GET", f"/api/v2{path}", params=params)

    def _send(self, method: str, path: str, body: Any = None, params: dict[str, Any] | None = None) -> Any:
        return _checked(self._request(method, path, body, params))

    def _request(
        self, method: str, path: str, body: Any = None, params: dict[str, Any] | None = None
    ) -> httpx.Response:
        """Send a request, logging in where Airflow asks for it; a database that is busy is asked again."""
        response = self._sent(method, path, body, params)
        for attempt in range(1, _ATTEMPTS):
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self._log_in()
            elif response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                time.sleep(attempt * _PATIENCE_S)
            else:
                break
            response = self._sent(method, path, body, params)
        return response

    def _sent(self, method: str, path: str, body: Any, params: dict[str, Any] | None, tries: int = 1) -> httpx.Response:
        """Send a request; one that changes nothing is sent again when a loaded machine gives no answer in time."""
        try:
            return self._client.request(method, path, json=body, params=params)
        except httpx.TimeoutException as error:
            if method == "GET" and tries < _ATTEMPTS:
                return self._sent(method, path, body, params, tries + 1)
            raise LaptopError(f"Airflow gave no answer to {method} {path} in time, {tries} times.") from error

    def _log_in(self) -> None:
        self._client.headers.pop("Authorization", None)
        answer = self._client.post("/auth/token", json={"username": USERNAME, "password": self._password})
        self._client.headers["Authorization"] = f"Bearer {_checked(answer)['access_token']}"


def _checked(response: httpx.Response) -> Any:
    if response.is_error:
        request = response.request
        raise LaptopError(f"Airflow answered {request.method} {request.url}: {response.status_code} {response.text}")
    return response.json() if response.content else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _tasks_path(run: DagRun) -> str:
    return f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"


def _dag_run(entry: dict[str, Any]) -> DagRun:
    return DagRun(entry["dag_id"], entry["dag_run_id"], entry["state"], entry["partition_key"], entry.get("conf") or {})


def _task_instance(entry: dict[str, Any]) -> TaskInstance:
    return TaskInstance(
        entry["dag_id"],
        entry["dag_run_id"],
        entry["task_id"],
        entry["map_index"],
        entry["state"] or "",
        entry["try_number"],
        entry["rendered_map_index"],
        _moment(entry["start_date"]),
        _moment(entry["end_date"]),
        entry["id"],
    )


def _in_order(tasks: Iterable[dict[str, Any]]) -> dict[str, bool]:
    """Sort tasks so that each comes after those it waits for; equals keep the order of the DAG file."""
    left = {task["task_id"]: task for task in tasks}
    ordered: dict[str, bool] = {}
    while left:
        waiting = {later for task in left.values() for later in task["downstream_task_ids"]}
        ready = [task_id for task_id in left if task_id not in waiting]
        for task_id in ready:
            ordered[task_id] = bool(left.pop(task_id)["is_mapped"])
    return ordered
