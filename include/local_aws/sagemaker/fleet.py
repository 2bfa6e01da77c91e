"""The processes that serve one deployment of an endpoint: one for each production variant."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import socket
import threading
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

LOG_GROUP = "/aws/sagemaker/Endpoints"
_PING_TIMEOUT = 2.0
_LONGEST_PAUSE = 30.0

logger = logging.getLogger(__name__)


@dataclass
class Replica:
    """One serving process: how it is started, where it listens, which process it now is."""

    name: str
    weight: float
    directory: Path
    argv: list[str]
    env: dict[str, str]
    cwd: str
    start_timeout: float
    process: Process | None = None
    log_offset: int = 0
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
        self.process = process.start(self.argv, env=self.env, cwd=Path(self.cwd), log=self.log)

    def is_alive(self) -> bool:
        """Say whether the process runs."""
        return self.process is not None and self.process.is_alive()

    def pings(self) -> bool:
        """Say whether the process answers ``GET /ping`` with 200."""
        connection = HTTPConnection("127.0.0.1", int(self.env["SAGEMAKER_BIND_TO_PORT"]), timeout=_PING_TIMEOUT)
        with closing(connection):
            try:
                connection.request("GET", "/ping")
                return connection.getresponse().status == 200
            except (OSError, HTTPException):
                return False

    def revive(self) -> bool:
        """Start the process again if it has died, after a pause that doubles each time; say whether it was started."""
        if self.is_alive() or time.monotonic() < self._not_before:
            return False
        if time.monotonic() - self._not_before > _LONGEST_PAUSE:
            self._crashes = 0
        self._crashes += 1
        self._not_before = time.monotonic() + min(_LONGEST_PAUSE, 2.0 ** (self._crashes - 1))
        self.start()
        return True


@dataclass
class Fleet:
    """The replicas of one deployment, and how many requests they are answering."""

    id: str
    endpoint: str
    config: str
    directory: Path
    replicas: list[Replica]
    in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def from_document(cls, document: Document) -> Fleet:
        """Read what :meth:`document` wrote."""
        replicas = [Replica.from_document(replica) for replica in document["replicas"]]
        return cls(**{**document, "directory": Path(document["directory"]), "replicas": replicas})

    def document(self) -> Document:
        """Return the fleet for JSON."""
        own = {"id": self.id, "endpoint": self.endpoint, "config": self.config, "directory": str(self.directory)}
        return {**own, "replicas": [replica.document() for replica in self.replicas]}

    def choose(self, variant: str | None) -> Replica | None:
        """Return the replica that a request goes to: the one it names, or one by weight."""
        if variant:
            return next((replica for replica in self.replicas if replica.name == variant), None)
        weights = [replica.weight for replica in self.replicas]
        return random.choices(self.replicas, weights if any(weights) else None)[0]  # noqa: S311 - traffic, no secret

    def enter(self) -> None:
        """Count a request in."""
        with self.lock:
            self.in_flight += 1

    def leave(self) -> None:
        """Count a request out."""
        with self.lock:
            self.in_flight -= 1

    def start(self) -> None:
        """Start every replica."""
        for replica in self.replicas:
            replica.start()

    def end(self, grace: float, drain: float = 0.0) -> None:
        """Let requests in flight be answered for up to ``drain`` seconds, then end every process."""
        deadline = time.monotonic() + drain
        while self.in_flight and time.monotonic() < deadline:
            time.sleep(0.05)
        self.ask_to_end()
        for replica in self.replicas:
            if replica.process:
                replica.process.end(grace)

    def ask_to_end(self) -> None:
        """Send every process SIGTERM."""
        for replica in self.replicas:
            if replica.process:
                replica.process.signal_group(signal.SIGTERM)

    def discard(self) -> None:
        """Free the fleet's disk space."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def ship_logs(self, client: Any) -> bool:
        """Send what the replicas printed to CloudWatch Logs; say whether there was anything."""
        return any([self._ship(replica, client) for replica in self.replicas])

    def _ship(self, replica: Replica, client: Any) -> bool:
        group, stream = f"{LOG_GROUP}/{self.endpoint}", f"{replica.name}/{self.id}"
        source = LogStream(client, group, stream, replica.log, replica.log_offset)
        try:
            sent = source.ship()
        except (BotoCoreError, ClientError) as error:
            # Serving doesn't depend on its log; the lines stay in the file and are sent with the next ones.
            logger.warning("The log of endpoint %s can't be sent now: %s", self.endpoint, error)
            return False
        replica.log_offset = source.offset
        return bool(sent)


def why_not(replica: Replica) -> str:
    """Return AWS's sentence for a container that doesn't come up, with the end of its log."""
    return (
        f"The primary container for production variant {replica.name} did not pass the ping health check. "
        f"Please check CloudWatch logs for this endpoint. "
        f"({'It did not answer in time' if replica.is_alive() else 'Its process ended'}; "
        f"last line of its log: {last_line(replica.log) or '(none)'})"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def new_id() -> str:
    """Return an id for a fleet: its name in logs and on disk."""
    return f"i-{os.urandom(8).hex()}"
