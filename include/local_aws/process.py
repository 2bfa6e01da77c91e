"""Processes that outlive the gateway: recognised after a restart, and ended with everything they started.

A process id alone may have been given to another program since; with the time at which the process started it can't be.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# What a container may see of the gateway's own environment: where programs are and how text is written.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True)
class Process:
    """A process id and the moment the process started, in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the live process with this id, or None; one that has ended but was not yet collected is dead."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, *rest = text.rpartition(")")[2].split()
        return None if state in "ZX" else cls(pid, int(rest[18]))

    @classmethod
    def from_document(cls, document: Mapping[str, int] | None) -> Process | None:
        """Read what :meth:`document` wrote."""
        return cls(document["pid"], document["started"]) if document else None

    def document(self) -> dict[str, int]:
        """Return the process for JSON."""
        return asdict(self)

    def is_alive(self) -> bool:
        """Say whether this very process still runs."""
        return Process.of(self.pid) == self

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process's group, which all of ours lead; a process that is gone is left in peace."""
        if not self.is_alive():
            return
        with contextlib.suppress(ProcessLookupError):  # it ended since we looked
            os.killpg(self.pid, number)

    def wait(self, seconds: float, poll: float = 0.05) -> bool:
        """Wait for the process's end; say whether it came in time."""
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(poll)
        return True

    def end(self, grace: float) -> None:
        """Ask the process's group to end, and after ``grace`` seconds, or when its leader has ended, make it."""
        if self.is_alive():
            self.signal_group(signal.SIGTERM)
            self.wait(grace)
            kill_group(self.pid)


def kill_group(group: int) -> None:
    """Kill what is left of a process group."""
    with contextlib.suppress(ProcessLookupError):  # nothing is left
        os.killpg(group, signal.SIGKILL)


_children: list[subprocess.Popen[bytes]] = []
_children_lock = threading.Lock()


def start(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Process:
    """Start a process in a session of its own, writing to the end of ``log``.

    Raises:
        OSError: the command or directory isn't there or can't be run.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - running what the image file names is the point
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    with _children_lock:
        _children.append(child)
    # A child that has already ended has no entry that could be mistaken for a later process.
    return Process.of(child.pid) or Process(child.pid, 0)


def collect() -> None:
    """Collect ended children, so that none stays behind as a zombie."""
    with _children_lock:
        _children[:] = [child for child in _children if child.poll() is None]


def base_environment() -> dict[str, str]:
    """Return the part of the gateway's environment that a container gets; no credentials, no settings."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
