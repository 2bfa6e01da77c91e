"""What belongs to a state directory right now: its ports and processes, in a file that outlives the command."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from laptop.errors import LaptopError
from laptop.places import Places
from laptop.ports import Ports
from laptop.processes import Process


@dataclass(frozen=True)
class Record:
    """The processes that were started and the ports they were given."""

    ports: Ports
    processes: tuple[Process, ...] = ()

    def with_process(self, process: Process) -> Record:
        """Return the record with one more process."""
        return Record(self.ports, (*self.processes, process))

    def all_alive(self) -> bool:
        """Say whether every one of the processes still runs."""
        return all(process.is_alive() for process in self.processes)

    def raise_if_dead(self) -> None:
        """Raise a :class:`LaptopError` that names the log, if a process has ended."""
        for process in self.processes:
            if not process.is_alive():
                raise LaptopError(
                    f"{process.name} has ended. Its log, {process.log}, says last:\n{process.last_lines()}"
                )


def load(places: Places) -> Record | None:
    """Return what was recorded, or ``None`` when nothing is; a file cut off in the writing counts as nothing."""
    try:
        document = json.loads(places.processes_file.read_text())
        processes = tuple(Process(**entry) for entry in document["processes"])
        return Record(Ports(**document["ports"]), processes)
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def save(places: Places, record: Record) -> None:
    """Replace the recorded state."""
    document = {"ports": asdict(record.ports), "processes": [asdict(process) for process in record.processes]}
    temporary = places.processes_file.with_suffix(".new")
    temporary.write_text(json.dumps(document, indent=2) + "\n")
    temporary.replace(places.processes_file)


def forget(places: Places) -> None:
    """Remove the recorded state."""
    places.processes_file.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(places: Places) -> Iterator[None]:
    """Hold the state directory: only one command at a time starts or stops its processes.

    Raises:
        LaptopError: another command holds it.
    """
    places.state.mkdir(parents=True, exist_ok=True)
    with places.lock_file.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LaptopError(
                f"Another command is starting or stopping the platform in {places.state}. Wait for it, or stop it."
            ) from error
        yield
