"""The supervisor's care for what an earlier command left; starting it all is tested end to end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from laptop import record, supervisor
from laptop.environment import MARK
from laptop.errors import LaptopError
from laptop.places import Places, places
from laptop.ports import Ports
from laptop.processes import Process, start, stop
from laptop.record import Record

SLEEP = "import time; time.sleep(600)"
UNUSED = Ports(airflow=9, aws=9)  # the discard port: nothing answers there


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Places]:
    yield places(tmp_path)
    stop((), tmp_path, grace=0.1)


def launch(here: Places, name: str) -> Process:
    environment = {**os.environ, MARK: str(here.state)}
    return start(name, [sys.executable, "-c", SLEEP], environment, here.logs / f"{name}.log", here.root)


def test_down_stops_what_is_recorded_and_forgets_it(here: Places) -> None:
    processes = (launch(here, "scheduler"), launch(here, "triggerer"))
    record.save(here, Record(UNUSED, processes))

    assert supervisor.down(here)
    assert not any(process.is_alive() for process in processes)
    assert record.load(here) is None


def test_down_stops_what_was_left_although_its_record_is_lost(here: Places) -> None:
    process = launch(here, "scheduler")

    assert supervisor.down(here)
    assert not process.is_alive()


def test_down_says_when_nothing_was_running(here: Places) -> None:
    assert not supervisor.down(here)


def test_a_platform_of_which_one_process_died_is_not_up(here: Places) -> None:
    alive, dead = launch(here, "scheduler"), launch(here, "triggerer")
    record.save(here, Record(UNUSED, (alive, dead)))
    os.kill(dead.pid, signal.SIGKILL)
    os.waitpid(dead.pid, 0)

    with pytest.raises(LaptopError, match="triggerer has ended"):
        supervisor.running(here)


def test_without_a_record_the_platform_is_not_up(here: Places) -> None:
    with pytest.raises(LaptopError, match="make up"):
        supervisor.running(here)


def test_status_tells_a_process_that_ended_from_one_that_does_not_answer(here: Places) -> None:
    alive, dead = launch(here, "scheduler"), launch(here, "triggerer")
    record.save(here, Record(UNUSED, (alive, dead)))
    os.kill(dead.pid, signal.SIGKILL)
    os.waitpid(dead.pid, 0)

    rows = {row.name: row for row in supervisor.status(here)}

    assert (rows["scheduler"].alive, rows["scheduler"].status) == (True, "no answer")
    assert rows["scheduler"].memory > 1_000_000
    assert (rows["triggerer"].alive, rows["triggerer"].memory) == (False, 0)


def test_what_is_missing_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with pytest.raises(LaptopError, match="make setup"):
        supervisor.up(places(tmp_path / "state", root=tmp_path), UNUSED, print)
