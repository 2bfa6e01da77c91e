"""Processes of our own: started apart from this one, recognised later, and ended with everything they started.

Each leads a session; a process id is believed only together with the time at which the process started. What a
component starts is found by session, by descent and by the mark in its environment, since each alone has a gap: task
processes overwrite their environment, and local AWS gives every job a session of its own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from laptop.environment import MARK

# The clock may be adjusted while a process runs, which shifts every start time by as much.
_SAME_START_S = 2.0
_LAST_LINES = 15


@dataclass(frozen=True)
class Process:
    """One started process: its component, id, start time (seconds since the epoch) and log."""

    name: str
    pid: int
    created: float
    log: str

    def find(self) -> psutil.Process | None:
        """Return the live process, or ``None`` when it ended or its id belongs to another one by now."""
        try:
            process = psutil.Process(self.pid)
            ended = process.status() == psutil.STATUS_ZOMBIE
            return process if not ended and abs(process.create_time() - self.created) < _SAME_START_S else None
        except psutil.NoSuchProcess:
            return None

    def is_alive(self) -> bool:
        """Say whether this very process still runs."""
        return self.find() is not None

    def last_lines(self) -> str:
        """Return the end of the process's log, indented, for an error message."""
        lines = Path(self.log).read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join(f"    {line}" for line in lines)


# Kept so that an ended child is collected when it is looked at, rather than left as a zombie.
_children: list[subprocess.Popen[bytes]] = []


def start(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, cwd: Path) -> Process:
    """Start ``command`` in a session of its own, writing to ``log``; the previous log is kept beside it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603 - the commands are ours
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children.append(child)
    return Process(name, child.pid, psutil.Process(child.pid).create_time(), str(log))


def family(processes: Iterable[Process], state: Path) -> list[psutil.Process]:
    """Return every live process that belongs to ``processes`` or carries the mark of ``state``, but not this one."""
    leaders = [found for process in processes if (found := process.find())]
    sessions = {process.pid for process in processes}
    members = {child for leader in leaders for child in _descendants(leader)} | set(leaders)
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    members |= {process for process in psutil.process_iter() if _belongs(process, sessions, state)}
    return [process for process in members if process.pid not in spared and _runs(process)]


def memory(processes: Iterable[psutil.Process]) -> int:
    """Return the memory that ``processes`` take together, in bytes, pages they share counted once."""
    return sum(_proportional_share(process) for process in processes)


def stop(processes: Sequence[Process], state: Path, grace: float) -> None:
    """End ``processes`` and all that belongs to them: ask the leaders first, after ``grace`` seconds kill the rest."""
    members = family(processes, state)
    leaders = {process.pid for process in processes}
    for process in members:
        if process.pid in leaders:
            _signal(process.terminate)
    psutil.wait_procs([process for process in members if process.pid in leaders], timeout=grace)
    # Look again: what was started meanwhile is to go too.
    left = {*filter(_runs, members), *family(processes, state)}
    for process in left:
        _signal(process.terminate)
    _, stubborn = psutil.wait_procs(left, timeout=min(grace, 3.0))
    for process in stubborn:
        _signal(process.kill)
    psutil.wait_procs(stubborn, timeout=5.0)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _belongs(process: psutil.Process, sessions: set[int], state: Path) -> bool:
    try:
        return os.getsid(process.pid) in sessions or process.environ().get(MARK) == str(state)
    except (psutil.Error, OSError):  # ended since, or another user's
        return False


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _proportional_share(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):  # ended since
        return int(process.memory_full_info().pss)
    return 0


def _signal(send: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        send()
