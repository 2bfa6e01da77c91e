"""What a training job did, for programs: ``report.json``."""

from __future__ import annotations

import dataclasses
import json
import resource
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lookbook_image import answers, code
from lookbook_image.hyperparameters import Hyperparameters
from lookbook_image.pairs import Side
from lookbook_image.trainer import Epoch, best_of

FILE = "report.json"
FORMAT = 2
PACKAGES = ("torch", "transformers", "peft", "accelerate")


@dataclass(frozen=True)
class Outcome:
    """How a job's training went; times in seconds, ``started`` by ``time.monotonic``."""

    settings: Hyperparameters
    sides: Mapping[str, Side]
    history: list[Epoch]
    stopped_early: bool
    starts: int
    """How often the job was started until it came to its end: 1 without interruption."""
    device: str
    precision: str
    features_bytes: int
    features_on_disk: bool
    started: float
    encoding_seconds: float


def write(model: Path, outcome: Outcome) -> dict[str, Any]:
    """Write ``report.json`` into ``model`` and return its content; docs/training-image.md describes it."""
    content = {
        "format": FORMAT,
        "dataset_id": outcome.settings.dataset_id,
        "hyperparameters": dataclasses.asdict(outcome.settings),
        "sides": {name: _counts(side) for name, side in outcome.sides.items()},
        "vocabulary": vocabulary(outcome.sides["train"]),
        "questions": _questions(outcome.sides["train"]),
        "epochs": outcome.history,
        "best": best_of(outcome.history),
        "stopped_early": outcome.stopped_early,
        "starts": outcome.starts,
        "device": outcome.device,
        "precision": outcome.precision,
        "features": {"bytes": outcome.features_bytes, "on_disk": outcome.features_on_disk},
        "peak_memory_bytes": _peak_memory(),
        **_times(outcome),
        "code": code.version(),
        "versions": {package: version(package) for package in PACKAGES},
    }
    (model / FILE).write_text(json.dumps(content, indent=2) + "\n")
    return content


def vocabulary(side: Side) -> dict[str, list[str]]:
    """Return the values that ``side`` answers with, per attribute, sorted."""
    values: dict[str, set[str]] = {}
    for answer in set(side.answers):
        if parsed := answers.parse(answer):
            values.setdefault(parsed[0], set()).add(parsed[1])
    return {attribute: sorted(values[attribute]) for attribute in sorted(values)}


def _questions(side: Side) -> dict[str, str]:
    """Return, by attribute, the question that is asked most often: that of service, of which others are paraphrases."""
    counted = Counter(zip(side.attributes, side.questions, strict=True))
    return dict(sorted(counted, key=lambda asked: (counted[asked], asked)))


def _counts(side: Side) -> dict[str, int]:
    return {"pairs": len(side), "pictures": len(side.pictures)}


def _peak_memory() -> dict[str, int]:
    """Return the most that the process and the GPU had in use, in bytes."""
    return {
        "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "gpu": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
    }


def _times(outcome: Outcome) -> dict[str, float]:
    """Return what this start of the job took; an earlier start's time isn't known to it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": round(time.monotonic() - outcome.started, 3),
        "encoding_seconds": round(outcome.encoding_seconds, 3),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
    }
