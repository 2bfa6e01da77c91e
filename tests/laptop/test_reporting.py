"""What a user sees while a run goes on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from laptop.airflow_api import DagRun
from laptop.reporting import LineReporter, LiveReporter, Pace, reporter
from laptop.watching import RunView, TaskView

RUN = DagRun("ingest_drop", "manual__1", "running", "2026-11-16")


def view(*tasks: TaskView, seconds: float = 0.0) -> RunView:
    return RunView(RUN, tasks, seconds)


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


def test_a_mapped_task_shows_count_rate_and_time_left() -> None:
    pace = Pace()
    pace.describe(TaskView("describe", "running", total=200), now=10.0)

    text = pace.describe(TaskView("describe", "running", total=200, done=50), now=35.0)

    assert text == "50 of 200, 2.0/s, 1:15 left"


def test_failed_instances_of_a_mapped_task_are_counted() -> None:
    assert Pace().describe(TaskView("describe", "running", total=3, done=1, failed=1), now=0) == "1 of 3, 1 failed"


def test_without_a_terminal_each_ended_task_gets_one_line(output: io.StringIO) -> None:
    console = Console(file=output)
    with reporter(console) as shown:
        assert isinstance(shown, LineReporter)
        for state in ("", "queued", "running", "running", "success", "success"):
            shown.show(view(TaskView("discover", state), seconds=65), [])

    assert output.getvalue().split("\n") == ["   1:05  ▸ discover: running", "   1:05  ✓ discover: done", ""]


def test_without_a_terminal_the_loss_of_each_epoch_gets_a_line(output: io.StringIO) -> None:
    with reporter(Console(file=output)) as shown:
        shown.show(
            view(TaskView("train", "deferred")), ["epoch=1 step=10 train_loss=0.9", "epoch=1 validation_loss=0.4"]
        )

    assert "epoch=1 validation_loss=0.4" in output.getvalue()


def test_on_a_terminal_a_table_shows_every_task(output: io.StringIO) -> None:
    console = Console(file=output, force_terminal=True, width=100)
    with reporter(console) as shown:
        assert isinstance(shown, LiveReporter)
        shown.show(view(TaskView("plan", "success"), TaskView("describe", "running", 200, 57)), [])

    assert "plan" in output.getvalue()
    assert "57 of 200" in output.getvalue()
