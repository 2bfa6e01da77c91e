"""The record of what runs: it outlives the command, and survives being cut off."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from laptop import record
from laptop.errors import LaptopError
from laptop.places import Places, places
from laptop.ports import Ports
from laptop.processes import Process
from laptop.record import Record

GONE = Process("scheduler", 2**22 + 1, 0.0, "scheduler.log")


@pytest.fixture
def here(tmp_path: Path) -> Places:
    return places(tmp_path)


def test_a_saved_record_is_loaded_as_it_was(here: Places) -> None:
    saved = Record(Ports(8081, 4567)).with_process(GONE)

    record.save(here, saved)

    assert record.load(here) == saved


def test_nothing_is_loaded_where_nothing_was_saved(here: Places) -> None:
    assert record.load(here) is None


def test_a_record_cut_off_in_the_writing_counts_as_none(here: Places) -> None:
    here.processes_file.write_text('{"ports": {"airf')

    assert record.load(here) is None


def test_a_dead_process_is_reported_with_the_end_of_its_log(here: Places, tmp_path: Path) -> None:
    log = tmp_path / "scheduler.log"
    log.write_text("starting\nNo space left on device\n")
    known = Record(Ports(), (Process("scheduler", GONE.pid, 0.0, str(log)),))

    with pytest.raises(LaptopError, match=r"(?s)scheduler has ended.*scheduler\.log.*No space left on device"):
        known.raise_if_dead()


def test_a_second_command_on_the_same_state_directory_is_refused(here: Places) -> None:
    code = (
        "from laptop import record; from laptop.places import places\n"
        f"with record.locked(places({str(here.state)!r})): pass"
    )

    with record.locked(here):
        refused = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": "include"}, capture_output=True, text=True
        )

    assert "Another command is starting or stopping" in refused.stderr
