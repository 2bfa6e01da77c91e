"""The processes that serve one deployment of an endpoint: one for each production variant."""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws.sagemaker.replica import Replica
from local_aws.state import Document

LOG_GROUP = "/aws/sagemaker/Endpoints"


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
        group = f"{LOG_GROUP}/{self.endpoint}"
        return any([replica.ship_log(client, group, f"{replica.name}/{self.id}") for replica in self.replicas])
