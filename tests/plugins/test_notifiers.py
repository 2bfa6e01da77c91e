"""Who is told when something needs them: over SNS, Slack and e-mail as they really are sent."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from airflow.sdk import DAG, task

from lookbook import aws
from lookbook.errors import PermanentError
from lookbook.notices import Notice
from lookbook.settings import get_settings
from lookbook_airflow.defaults import DEFAULT_ARGS
from lookbook_airflow.notifiers import QuestionNotifier, RefusalNotifier, RunFailureNotifier, tell

Run = Callable[..., Any]  # the fixture of tests/plugins/conftest.py
INJECTED = "{{ 7 * 6 }} {{ conn.slack_oncall.password }} <!channel> <b>"


class Mailbox:
    """A mail server's side of a delivery: keeps what comes."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    def subjects(self) -> list[str]:
        return [mail["subject"] for mail in self.mails]


@pytest.fixture(scope="module")
def mail_server() -> Iterator[tuple[Mailbox, int]]:
    """A mail server on loopback, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:  # the controller takes no port that it doesn't know
        port = free.getsockname()[1]
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield mailbox, port
    controller.stop()


def notify(monkeypatch: pytest.MonkeyPatch, *targets: str) -> None:
    monkeypatch.setenv("LOOKBOOK_NOTIFY", json.dumps(targets))
    get_settings.cache_clear()


@pytest.fixture
def mailbox(mail_server: tuple[Mailbox, int], monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """The mailbox of who is to be told."""
    box, port = mail_server
    box.mails.clear()
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org"}
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
    notify(monkeypatch, "mailto:oncall@example.org")
    return box


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What is posted to the webhook of the connection ``slack_oncall``."""
    posted: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/services/T0/B0/secret"
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ONCALL", json.dumps({"conn_type": "slackwebhook", "password": address}))
    yield posted
    server.shutdown()
    server.server_close()


@pytest.fixture
def topic(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A topic's ARN, and the address of a queue that gets what it is told."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    arn = aws.client("sns").create_topic(Name="oncall")["TopicArn"]
    queue = aws.client("sqs").create_queue(QueueName="oncall")["QueueUrl"]
    queue_arn = f"arn:aws:sqs:us-east-1:{arn.split(':')[4]}:oncall"
    aws.client("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    return arn, queue


def received(queue: str) -> list[dict[str, Any]]:
    return [json.loads(message["Body"]) for message in aws.client("sqs").receive_message(QueueUrl=queue)["Messages"]]


def test_a_topic_is_told(topic: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    arn, queue = topic
    notify(monkeypatch, f"sns:{arn}")
    tell(Notice("ingest_drop.read failed", INJECTED, {"Log": "https://airflow.example.org/log"}))
    [told] = received(queue)
    assert told["Subject"] == "ingest_drop.read failed"
    assert told["Message"] == f"ingest_drop.read failed\n{INJECTED}\nLog: https://airflow.example.org/log"


def test_a_channel_is_told_and_what_a_drop_says_is_neither_template_nor_markup(
    channel: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(monkeypatch, "slack:slack_oncall")
    tell(Notice("ingest_drop.read failed", INJECTED, {"Log": "https://airflow.example.org/log"}))
    [posted] = channel
    assert "{{ 7 * 6 }} {{ conn.slack_oncall.password }} &lt;!channel&gt; &lt;b&gt;" in posted["text"]
    assert "<https://airflow.example.org/log|Log>" in posted["text"]


def test_a_mailbox_is_told_and_what_a_drop_says_is_neither_template_nor_markup(mailbox: Mailbox) -> None:
    tell(Notice("ingest_drop.read failed", INJECTED))
    [mail] = mailbox.mails
    assert (mail["to"], mail["from"]) == ("oncall@example.org", "airflow@example.org")
    body = mail.get_body(("html",)).get_content()
    assert "{{ 7 * 6 }} {{ conn.slack_oncall.password }} &lt;!channel&gt; &lt;b&gt;" in body


def test_who_cannot_be_told_keeps_nobody_else_from_being_told(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    notify(monkeypatch, "slack:nobody_made_this_connection", "mailto:oncall@example.org")
    tell(Notice("ingest_drop.read failed"))
    assert mailbox.subjects() == ["ingest_drop.read failed"]
    assert "slack:nobody_made_this_connection could not be told" in caplog.text


def test_where_nobody_is_to_be_told_the_log_says_it(caplog: pytest.LogCaptureFixture) -> None:
    tell(Notice("ingest_drop.read failed", "why"))
    told = [(line.levelno, line.getMessage()) for line in caplog.records if line.name == "lookbook_airflow.notifiers"]
    assert told == [(logging.ERROR, "ingest_drop.read failed\nwhy")]


def failing(dag_id: str, *fail: Any) -> DAG:
    """A DAG whose task ``read`` fails if ``read`` is among ``fail``; of the mapped ``describe`` the numbers do."""
    with DAG(dag_id, schedule=None, catchup=False, default_args=DEFAULT_ARGS | {"retries": 0}) as dag:

        @task
        def read() -> None:
            if "read" in fail:
                raise PermanentError("styles.csv: 1163,Men {{ 7 * 6 }}\nsecond line, password=hunter2")

        @task
        def describe(number: int) -> None:
            if number in fail:
                raise ValueError(f"product {number}")

        read() >> describe.expand(number=list(range(4)))
    return dag


def test_a_task_that_fails_says_what_why_and_where_to_look(
    run_dag: Run, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_RUNBOOK_URL", "https://wiki.example.org/runbooks")
    get_settings.cache_clear()
    run_dag(failing("tells_of_task", "read"), run_conf={"drop": "2026-11-16"})
    [mail] = mailbox.mails
    assert mail["subject"] == "tells_of_task.read, drop 2026-11-16, failed (try 1 of 1)"
    body = mail.get_body(("html",)).get_content()
    assert "PermanentError: styles.csv: 1163,Men {{ 7 * 6 }}</p>" in body
    assert "second line" not in body
    assert "/dags/tells_of_task/runs/" in body and "/tasks/read" in body
    assert "https://wiki.example.org/runbooks/tells_of_task.md" in body
    assert "/lookbook/lineage/runs/tells_of_task/" in body


def test_of_many_failures_of_a_mapped_task_the_first_is_told(run_dag: Run, mailbox: Mailbox) -> None:
    run_dag(failing("tells_of_many", 1, 2, 3))
    [first] = mailbox.subjects()
    assert re.fullmatch(r"tells_of_many\.describe\[[123]\] failed \(try 1 of 1\)", first)


_STATES = ("success", "failed")  # of a task by how many instances failed


def end_of_run(**failed: int) -> Any:
    """The context of a run's end, of whose tasks so many instances failed; more than one are those of a mapped task."""

    found = {}
    for name, number in failed.items():
        found |= {f"{name}_{index}": "failed" for index in range(number)} if number > 1 else {name: _STATES[number]}

    def states(dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert (dag_id, task_ids, run_ids) == ("describe_products", list(failed), ["manual__1"])
        return {"manual__1": found}

    ti = SimpleNamespace(dag_id="describe_products", run_id="manual__1", get_task_states=states)
    dag = SimpleNamespace(dag_id="describe_products", task_ids=list(failed))
    dag_run = SimpleNamespace(partition_key="2026-11-16", conf={})
    return {"dag": dag, "run_id": "manual__1", "ti": ti, "dag_run": dag_run, "reason": "task_failure"}


def test_a_run_tells_how_many_of_its_mapped_tasks_failed(mailbox: Mailbox) -> None:
    RunFailureNotifier()(end_of_run(plan=0, describe_rest=200, publish=1))
    [mail] = mailbox.mails
    assert mail["subject"] == "The run of describe_products, drop 2026-11-16, failed"
    assert "Failed tasks: describe_rest (200), publish (1)" in mail.get_body(("html",)).get_content()


def test_a_run_tells_nothing_that_its_tasks_have_told(mailbox: Mailbox) -> None:
    RunFailureNotifier()(end_of_run(plan=0, describe=1, publish=1))
    assert mailbox.mails == []


def test_a_run_that_failed_although_no_task_did_is_told(mailbox: Mailbox) -> None:
    without_tasks = {name: value for name, value in end_of_run().items() if name not in ("ti", "dag_run")}
    RunFailureNotifier()(without_tasks | {"reason": "timed_out"})
    [mail] = mailbox.mails
    assert mail["subject"] == "The run of describe_products failed"
    assert "Airflow says: timed_out" in mail.get_body(("html",)).get_content()


def test_a_run_whose_tasks_nobody_can_count_is_told(mailbox: Mailbox) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ConnectionError("the API server is down")

    context = end_of_run(describe=1)
    context["ti"].get_task_states = refuse
    RunFailureNotifier()(context)
    assert mailbox.subjects() == ["The run of describe_products, drop 2026-11-16, failed"]


def test_a_question_is_told_with_where_to_answer(mailbox: Mailbox) -> None:
    task_of = SimpleNamespace(
        subject="Train at this cost?",
        body="4.74 USD at most.",
        generate_link_to_ui_from_context=lambda *, context: "https://airflow.example.org/required_actions",
    )
    ti = SimpleNamespace(dag_id="retrain_attribute_model", run_id="manual__1")
    QuestionNotifier()({"task": task_of, "ti": ti})
    [mail] = mailbox.mails
    assert mail["subject"] == "retrain_attribute_model asks: Train at this cost?"
    body = mail.get_body(("html",)).get_content()
    assert "4.74 USD at most." in body and "https://airflow.example.org/required_actions" in body


@pytest.mark.parametrize(("passed", "told"), [(False, 1), (True, 0)])
def test_a_refusal_of_the_gate_is_told(mailbox: Mailbox, passed: bool, told: int) -> None:
    decision = {"passed": passed, "sentence": "Refused: not better than the majority answer"}
    ti = SimpleNamespace(
        dag_id="retrain_attribute_model",
        run_id="manual__1",
        task_id="gate",
        log_url="https://airflow.example.org/log",
        xcom_pull=lambda task_ids, key: {("gate", "decision"): decision}[(task_ids, key)],
    )
    RefusalNotifier()({"ti": ti})
    assert mailbox.subjects() == ["retrain_attribute_model: the gate refused the challenger"] * told
