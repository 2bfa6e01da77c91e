"""The containers that serve one deployment of an endpoint: one for each instance of each production variant."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from local_aws.sagemaker.replica import Replica
from local_aws.state import Document

LOG_GROUP = "/aws/sagemaker/Endpoints"
_turns = count(1)


@dataclass
class Fleet:
    """The replicas of one deployment, and of its config ``DataCaptureConfig`` and ``AsyncInferenceConfig``."""

    id: str
    endpoint: str
    config: str
    directory: Path
    replicas: list[Replica] = field(default_factory=list)
    capture: Document | None = None
    asynchronous: Document | None = None

    @classmethod
    def from_document(cls, document: Document) -> Fleet:
        """Read what :meth:`document` wrote."""
        replicas = [Replica.from_document(replica) for replica in document["replicas"]]
        return cls(**{**document, "directory": Path(document["directory"]), "replicas": replicas})

    def document(self) -> Document:
        """Return the fleet for JSON."""
        return {
            "id": self.id,
            "endpoint": self.endpoint,
            "config": self.config,
            "directory": str(self.directory),
            "replicas": [replica.document() for replica in self.replicas],
            "capture": self.capture,
            "asynchronous": self.asynchronous,
        }

    def choose(self, variant: str | None = None, without: Replica | None = None) -> Replica | None:
        """Return the replica that a request goes to: of the variant it names, or of one by weight, the least busy.

        Args:
            variant: the name that the request gives, if any.
            without: a replica that just didn't answer; None is returned when the variant has no other.
        """
        production = [replica for replica in self.replicas if not replica.shadow]
        name = variant or (_by_weight(production) if production else None)
        candidates = [replica for replica in production if replica.name == name and replica is not without]
        return _least_busy(candidates)

    def choose_shadow(self) -> Replica | None:
        """Return the replica that a copy of a request goes to: none as often as the shadow's weight is less."""
        shadows = [replica for replica in self.replicas if replica.shadow]
        if not shadows:
            return None
        whole = max(replica.weight for replica in self.replicas if not replica.shadow)
        if random.random() * whole >= shadows[0].weight:  # noqa: S311 - traffic, no secret
            return None
        return _least_busy(shadows)

    def start(self) -> None:
        """Start every replica."""
        for replica in self.replicas:
            replica.start()

    def end(self, grace: float) -> None:
        """End every process."""
        end(self.replicas, grace)

    def ask_to_end(self) -> None:
        """Send every process SIGTERM."""
        _ask_to_end(self.replicas)

    def discard(self) -> None:
        """Free the fleet's disk space."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def ship_logs(self, client: Any) -> bool:
        """Send what the replicas printed to CloudWatch Logs; say whether there was anything."""
        group = f"{LOG_GROUP}/{self.endpoint}"
        return any([replica.ship_log(client, group, self.stream(replica)) for replica in self.replicas])

    def stream(self, replica: Replica) -> str:
        """Return the name of a replica's log stream: its variant's, and its instance's."""
        return f"{replica.name}/{self.id}" + (f"-{replica.number}" if replica.number > 1 else "")


def end(replicas: Iterable[Replica], grace: float) -> None:
    """End the processes of replicas: SIGTERM to all, SIGKILL to those that are there after ``grace`` seconds."""
    ending = list(replicas)
    _ask_to_end(ending)
    for replica in ending:
        if replica.process:
            replica.process.end(grace)


def _ask_to_end(replicas: Iterable[Replica]) -> None:
    for replica in replicas:
        if replica.process:
            replica.process.signal_group(signal.SIGTERM)


def _by_weight(replicas: Iterable[Replica]) -> str:
    """Return the name of a variant, each as often as its weight says."""
    weights = {replica.name: replica.weight for replica in replicas}
    given = list(weights.values()) if any(weights.values()) else None
    return random.choices(list(weights), given)[0]  # noqa: S311 - traffic, no secret


def _least_busy(replicas: list[Replica]) -> Replica | None:
    """Return a replica that is up and has the fewest requests; of equals the one whose turn is longest ago."""
    if not replicas:
        return None
    chosen = min(replicas, key=lambda replica: (not replica.is_ready(), replica.in_flight, replica.turn))
    chosen.turn = next(_turns)
    return chosen
