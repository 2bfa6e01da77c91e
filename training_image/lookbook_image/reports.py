"""What a training job says about its model: ``report.json`` for programs, ``model_card.md`` for people."""

from __future__ import annotations

import dataclasses
import json
import resource
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookbook_image import answers
from lookbook_image.hyperparameters import Hyperparameters
from lookbook_image.pairs import Side

if TYPE_CHECKING:
    from lookbook_image.training import Epoch

PACKAGES = ("torch", "transformers", "peft")


def write(
    model: Path, settings: Hyperparameters, history: Sequence[Epoch], sides: Mapping[str, Side], started: float
) -> None:
    """Write both files into ``model``; ``started`` is the job's start by ``time.monotonic``, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    content = {
        "format": 1,
        "hyperparameters": dataclasses.asdict(settings),
        "sides": {name: _counts(side) for name, side in sides.items()},
        "vocabulary": vocabulary(sides["train"]),
        "questions": dict(sorted(zip(sides["train"].attributes, sides["train"].questions, strict=True))),
        "epochs": list(history),
        "final": history[-1],
        "seconds": round(time.monotonic() - started, 3),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "versions": {package: version(package) for package in PACKAGES},
    }
    model.mkdir(parents=True, exist_ok=True)
    (model / "report.json").write_text(json.dumps(content, indent=2) + "\n")
    (model / "model_card.md").write_text(_card(content))


def vocabulary(side: Side) -> dict[str, list[str]]:
    """Return the values that ``side`` answers with, per attribute, sorted."""
    values: dict[str, set[str]] = {}
    for answer in set(side.answers):
        if parsed := answers.parse(answer):
            values.setdefault(parsed[0], set()).add(parsed[1])
    return {attribute: sorted(values[attribute]) for attribute in sorted(values)}


def _counts(side: Side) -> dict[str, int]:
    return {"pairs": len(side), "pictures": len(side.pictures)}


def _card(content: dict[str, Any]) -> str:
    final, sides = content["final"], content["sides"]
    questions = "\n".join(
        f"| {attribute} | {question} | {', '.join(content['vocabulary'].get(attribute, []))} |"
        for attribute, question in content["questions"].items()
    )
    return f"""---
library_name: peft
pipeline_tag: visual-question-answering
---
# Clothing attributes from pictures

Answers questions about one garment's picture as "<attribute>: <value>". Trained by LoRA
({_settings(content["hyperparameters"])})
on {sides["train"]["pairs"]} pairs of {sides["train"]["pictures"]} pictures. On {sides["validation"]["pairs"]} pairs of
{sides["validation"]["pictures"]} other pictures, exact match is {final["validation_exact_match"]:.4f} after
{final["epoch"]} epochs. What that is worth – majority answer, blind control, the model in service – is in the
evaluation's report, not here.

| attribute | question | values it has seen |
|---|---|---|
{questions}

**Not for**: other questions than these, values it hasn't seen, pictures without a garment: it answers all the same.
`merged/` is the whole model, `adapter/` the LoRA weights alone, `report.json` every epoch's figures.
"""


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
