"""Processes: recognised later, stopped with everything they started."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from laptop.environment import MARK
from laptop.processes import Process, family, start, stop

SLEEP = "import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); {SLEEP}"
# A child in a process group of its own, as Airflow's task processes are, and one in a session of its own, as local
# AWS's jobs are; the parent then ends, which leaves them to nobody.
LEAVES_TWO_BEHIND = f"""
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "{SLEEP}"], process_group=0, env={{"PATH": os.environ["PATH"]}})
subprocess.Popen([sys.executable, "-c", "{SLEEP}"], start_new_session=True)
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose processes are gone after the test, whatever the test did."""
    yield tmp_path
    stop((), tmp_path, grace=0.1)


def launch(state: Path, code: str, name: str = "one") -> Process:
    environment = {**os.environ, MARK: str(state)}
    return start(name, [sys.executable, "-c", code], environment, state / "logs" / f"{name}.log", state)


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def test_a_started_process_is_alive_and_leads_its_own_session(state: Path) -> None:
    process = launch(state, SLEEP)

    assert process.is_alive()
    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_a_process_id_that_belongs_to_another_by_now_is_not_believed(state: Path) -> None:
    process = launch(state, SLEEP)

    assert not dataclasses.replace(process, created=process.created - 3600).is_alive()


def test_a_stopped_process_is_gone(state: Path) -> None:
    process = launch(state, SLEEP)

    stop([process], state, grace=5)

    assert not psutil.pid_exists(process.pid)


def test_a_process_that_ignores_the_request_is_killed(state: Path) -> None:
    process = launch(state, STUBBORN)
    wait_for(lambda: "ready" in Path(process.log).read_text())

    stop([process], state, grace=0.2)

    assert not process.is_alive()


def test_what_an_ended_process_left_behind_is_stopped_too(state: Path) -> None:
    process = launch(state, LEAVES_TWO_BEHIND)
    wait_for(lambda: not process.is_alive())
    assert len(family([process], state)) == 2

    stop([process], state, grace=5)

    assert family([process], state) == []


def test_processes_without_a_record_are_found_by_their_mark(state: Path) -> None:
    launch(state, SLEEP)
    wait_for(lambda: len(family((), state)) == 1)

    stop((), state, grace=5)

    assert family((), state) == []


def test_processes_of_another_state_directory_are_left_alone(
    state: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    theirs = launch(other, SLEEP)

    stop([launch(state, SLEEP)], state, grace=5)

    assert theirs.is_alive()
    stop([theirs], other, grace=5)


def test_the_previous_log_is_kept_beside_the_new_one(state: Path) -> None:
    for text in ("first", "second"):
        process = launch(state, f"print('{text}')")
        wait_for(lambda process=process: not process.is_alive())

    assert process.last_lines() == "    second"
    assert (state / "logs" / "one.previous.log").read_text() == "first\n"
