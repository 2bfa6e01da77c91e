"""The client with an API that is busy or asks for a login; the rest is tested against the real one, end to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from laptop import airflow_api
from laptop.airflow_api import AirflowApi, DagRun, _in_order
from laptop.errors import LaptopError

RUN = DagRun("ingest_drop", "manual__1", "running", None)


@dataclass
class Answers:
    """What a server is to answer, in turn, and what it was asked."""

    address: str = ""
    prepared: list[tuple[int, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answers.asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}".strip())
            status, body = answers.prepared.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - as http.server calls them

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(airflow_api, "_PATIENCE_S", 0.0)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    answers.address = f"http://127.0.0.1:{httpd.server_port}"
    yield answers
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_it_logs_in_when_it_is_asked_to_and_asks_again(server: Answers) -> None:
    server.prepared = [(401, "{}"), (201, '{"access_token": "t"}'), (200, '{"value": [1]}')]

    with AirflowApi(server.address, "secret") as api:
        assert api.xcom(RUN, "publish") == [1]

    assert server.asked[1] == "POST /auth/token"
    assert server.asked[2].endswith("Bearer t")


def test_a_database_that_is_busy_is_asked_again(server: Answers) -> None:
    server.prepared = [(503, "{}"), (503, "{}"), (200, '{"value": 1}')]

    with AirflowApi(server.address, "secret") as api:
        assert api.xcom(RUN, "publish") == 1


def test_a_wrong_password_is_reported_not_tried_for_ever(server: Answers) -> None:
    server.prepared = [(401, "{}"), (401, '{"detail": "Invalid credentials"}')]

    with AirflowApi(server.address, "wrong") as api, pytest.raises(LaptopError, match="Invalid credentials"):
        api.xcom(RUN, "publish")


def test_what_a_task_did_not_push_is_none(server: Answers) -> None:
    server.prepared = [(404, "{}")]

    with AirflowApi(server.address, "secret") as api:
        assert api.xcom(RUN, "publish") is None


def test_a_refusal_says_what_was_asked_and_what_was_answered(server: Answers) -> None:
    server.prepared = [(422, '{"detail": "not a partition key"}')]

    with AirflowApi(server.address, "secret") as api, pytest.raises(LaptopError, match=r"422.*not a partition key"):
        api.trigger("ingest_drop", "never")


def test_a_long_list_is_read_page_by_page(server: Answers) -> None:
    def page(first: int, count: int) -> str:
        entry = '{"dag_id": "d", "dag_run_id": "r", "task_id": "t", "map_index": %d, "state": null, "try_number": 1, '
        entry += '"id": null, "rendered_map_index": null, "start_date": null, "end_date": null}'
        entries = ", ".join(entry % index for index in range(first, first + count))
        return f'{{"task_instances": [{entries}], "total_entries": 150}}'

    server.prepared = [(200, page(0, 100)), (200, page(100, 50))]

    with AirflowApi(server.address, "secret") as api:
        assert [instance.map_index for instance in api.task_instances(RUN)] == list(range(150))


def test_tasks_are_ordered_as_they_wait_for_one_another() -> None:
    def task(task_id: str, *later: str, mapped: bool = False) -> dict[str, object]:
        return {"task_id": task_id, "downstream_task_ids": list(later), "is_mapped": mapped}

    tasks = [task("publish"), task("describe", "publish", mapped=True), task("plan", "describe", "publish")]

    assert _in_order(tasks) == {"plan": False, "describe": True, "publish": False}


def test_a_question_that_gets_no_answer_in_time_is_asked_again(
    server: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.prepared = [(200, '{"value": [1]}')]
    with AirflowApi(server.address, "password") as api:
        send, late = api._client.request, iter([True, True, False])

        def slow(*arguments: Any, **options: Any) -> httpx.Response:
            if next(late):
                raise httpx.ReadTimeout("timed out")
            return send(*arguments, **options)

        monkeypatch.setattr(api._client, "request", slow)
        assert api.xcom(RUN, "plan") == [1]


def test_what_changes_something_is_not_sent_twice(server: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def slow(method: str, *arguments: Any, **options: Any) -> httpx.Response:
        sent.append(method)
        raise httpx.ReadTimeout("timed out")

    with AirflowApi(server.address, "password") as api:
        monkeypatch.setattr(api._client, "request", slow)
        with pytest.raises(LaptopError, match="no answer to POST"):
            api.trigger("ingest_drop")
        assert sent == ["POST"]
        with pytest.raises(LaptopError, match=r"no answer to GET .* 5 times"):
            api.health()
