"""One serving container: how it is started, where it listens, which process it now is."""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws import process
from local_aws.logs import LogStream, last_line
from local_aws.process import Process
from local_aws.state import Document

_PING_TIMEOUT, _PING_INTERVAL = 2.0, 5.0
_LONGEST_PAUSE = 30.0

logger = logging.getLogger(__name__)


@dataclass
class Replica:
    """A serving container: instance ``number`` of the production (or shadow) variant ``name``."""

    name: str
    weight: float
    directory: Path
    argv: list[str]
    env: dict[str, str]
    cwd: str
    start_timeout: float
    process: Process | None = None
    log_offset: int = 0
    number: int = 1
    shadow: bool = False
    in_flight: int = field(default=0, compare=False)
    turn: int = field(default=0, compare=False)
    # One that an earlier gateway started is taken to answer, as it did then.
    answers: bool = field(default=True, compare=False)
    _came_up: bool = field(default=True, compare=False)
    _heard: float = field(default_factory=time.monotonic, compare=False)
    _next_ping: float = field(default=0.0, compare=False)
    _crashes: int = field(default=0, compare=False)
    _not_before: float = field(default=0.0, compare=False)

    @classmethod
    def from_document(cls, document: Document) -> Replica:
        """Read what :meth:`document` wrote."""
        known = Process.from_document(document.get("process"))
        return cls(**{**document, "directory": Path(document["directory"]), "process": known})

    def document(self) -> Document:
        """Return the replica for JSON."""
        return {
            "name": self.name,
            "weight": self.weight,
            "directory": str(self.directory),
            "argv": self.argv,
            "env": self.env,
            "cwd": self.cwd,
            "start_timeout": self.start_timeout,
            "process": self.process.document() if self.process else None,
            "log_offset": self.log_offset,
            "number": self.number,
            "shadow": self.shadow,
        }

    @property
    def url(self) -> str:
        """Where the process answers."""
        return f"http://127.0.0.1:{self.env['SAGEMAKER_BIND_TO_PORT']}"

    @property
    def log(self) -> Path:
        """What the process prints."""
        return self.directory / "output.log"

    def start(self) -> None:
        """Start the process on a free port.

        Raises:
            OSError: the command can't be run.
        """
        self.env = {**self.env, "SAGEMAKER_BIND_TO_PORT": str(_free_port())}
        self.answers, self._came_up, self._heard = False, False, time.monotonic()
        self.process = process.start(self.argv, env=self.env, cwd=Path(self.cwd), log=self.log)

    def is_alive(self) -> bool:
        """Say whether the process runs."""
        return self.process is not None and self.process.is_alive()

    def is_ready(self) -> bool:
        """Say whether the process runs and has answered a ping since it was started."""
        return self.answers and self.is_alive()

    def pings(self) -> bool:
        """Say whether the process answers ``GET /ping`` with 200."""
        self.answers = self._is_answered()
        if self.answers:
            self._heard, self._came_up = time.monotonic(), True
        return self.answers

    def _is_answered(self) -> bool:
        connection = HTTPConnection("127.0.0.1", int(self.env["SAGEMAKER_BIND_TO_PORT"]), timeout=_PING_TIMEOUT)
        with closing(connection):
            try:
                connection.request("GET", "/ping")
                return connection.getresponse().status == 200
            except (OSError, HTTPException):
                return False

    def keep_alive(self, patience: float) -> bool:
        """Start the process again if it has died; say whether it was started.

        One that has answered no ping for ``patience`` seconds, or hasn't come up in its time, is killed before.
        """
        if self.is_alive():
            self._check(patience)
        return not self.is_alive() and self._revive()

    def _check(self, patience: float) -> None:
        now = time.monotonic()
        if self.answers and now < self._next_ping:
            return
        self._next_ping = now + min(_PING_INTERVAL, patience / 4)
        allowed = patience if self._came_up else max(patience, self.start_timeout)
        if not self.pings() and now - self._heard > allowed and self.process:
            logger.warning("%s does not answer its pings and is killed; %s", self.directory, last_words(self))
            self.process.end(0)

    def _revive(self) -> bool:
        """Start the process, but not before a pause that doubles each time."""
        if time.monotonic() < self._not_before:
            return False
        if time.monotonic() - self._not_before > _LONGEST_PAUSE:
            self._crashes = 0
        self._crashes += 1
        self._not_before = time.monotonic() + min(_LONGEST_PAUSE, 2.0 ** (self._crashes - 1))
        self.start()
        return True

    def ship_log(self, client: Any, group: str, stream: str, *, last: bool = False) -> bool:
        """Send what the process printed since the last call to CloudWatch Logs; say whether there was anything."""
        source = LogStream(client, group, stream, self.log, self.log_offset)
        try:
            sent = source.ship(last=last)
        except (BotoCoreError, ClientError) as error:
            # Serving doesn't depend on its log; the lines stay in the file and are sent with the next ones.
            logger.warning("The log of %s in %s can't be sent now: %s", stream, group, error)
            return False
        self.log_offset = source.offset
        return bool(sent)


def why_not(replica: Replica) -> str:
    """Return AWS's sentence for a container that doesn't come up, with what it last printed."""
    return (
        f"The primary container for production variant {replica.name} did not pass the ping health check. "
        f"Please check CloudWatch logs for this endpoint. ({last_words(replica)})"
    )


def last_words(replica: Replica) -> str:
    """Say how a container failed: whether its process ended, and the end of its log."""
    how = "It did not answer in time" if replica.is_alive() else "Its process ended"
    return f"{how}; last line of its log: {last_line(replica.log) or '(none)'}"


def new_id() -> str:
    """Return an id for a fleet: its name in logs and on disk."""
    return f"i-{os.urandom(8).hex()}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
