"""Entry point ``evaluate``: scores models on one benchmark, beside the controls that tell what a score is worth.

Channels ``benchmark``, ``base``, ``challenger`` and, if there is one, ``champion`` (the last two hold a training job's
``model.tar.gz``). Leaves ``evaluation.json`` in the model directory and in the output directory.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import torch

from lookbook_image import families, metrics, pairs
from lookbook_image.container import Container
from lookbook_image.errors import JobError
from lookbook_image.families.base import Family
from lookbook_image.features import Prepared, prepare
from lookbook_image.metrics import Score
from lookbook_image.pairs import Side
from lookbook_image.progress import Progress, say

FILE = "evaluation.json"
FORMAT = 1
BATCH = 128
BLIND_SEED = 0
"""The blind control shuffles the same way in every evaluation, so that weeks can be compared."""


def run(container: Container) -> None:
    """Score every model that ``container``'s channels hold and write the report.

    Raises:
        JobError: a channel, a model or the benchmark is missing or can't be used.
    """
    side = pairs.read(container.channel("benchmark"))
    if len(side.pictures) < 2:
        raise JobError(f"{side.directory}: one picture; the blind control needs a benchmark of at least two.")
    with tempfile.TemporaryDirectory() as scratch:
        models = _score_models(container, side, Path(scratch))
    report = {
        "format": FORMAT,
        "benchmark": {"pairs": len(side), "pictures": len(side.pictures)},
        "majority": metrics.majority(side.attributes, side.answers),
        "models": models,
    }
    for directory in (container.model, container.output_data):
        _write(directory / FILE, report)


def _score_models(container: Container, side: Side, scratch: Path) -> dict[str, Score]:
    """Score the models that the job was given, one after the other: two needn't fit into memory."""
    scores = _score_model("base", container.channel("base"), side)
    for name in ("challenger", "champion"):
        if name == "challenger" or container.has_channel(name):
            scores |= _score_model(name, merged_model(container.channel(name), scratch / name), side)
    return scores


def _score_model(name: str, directory: Path, side: Side) -> dict[str, Score]:
    """Load the model at ``directory`` and score it; the challenger also blind."""
    family = families.load(directory)
    prepared = prepare(family, side)
    scores = {name: _score(name, family, side, prepared)}
    if name == "challenger":
        scores["blind"] = _score("blind", family, side, blinded(prepared))
    return scores


def merged_model(channel: Path, scratch: Path) -> Path:
    """Unpack the training job's ``model.tar.gz`` in ``channel`` into ``scratch`` and return its ``merged`` directory.

    Raises:
        JobError: there isn't exactly one ``model.tar.gz``, it can't be unpacked or holds no ``merged`` directory.
    """
    archives = sorted(channel.rglob("model.tar.gz"))
    if len(archives) != 1:
        raise JobError(f"{channel}: {len(archives)} files named model.tar.gz, expected one, a training job's artefact.")
    try:
        with tarfile.open(archives[0]) as tar:
            tar.extractall(scratch, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise JobError(f"{archives[0]}: can't be unpacked ({error}). Is it a training job's artefact?") from error
    if not (scratch / "merged").is_dir():
        raise JobError(f"{archives[0]}: holds no merged/ directory. Is it an artefact of this image's train?")
    return scratch / "merged"


def blinded(prepared: Prepared) -> Prepared:
    """Return the same questions, each about another picture than its own."""
    swapped = torch.from_numpy(metrics.other_pictures(len(prepared.features), BLIND_SEED))
    return Prepared(prepared.features, swapped[prepared.picture_of_pair], prepared.prompts, prepared.labels)


def _score(name: str, family: Family, side: Side, prepared: Prepared) -> Score:
    say(f"asking {name} {len(prepared)} questions")
    score = metrics.score(side.attributes, side.answers, answer(family, prepared))
    say(f"{name}_exact_match={score['exact_match']:.4f} {name}_balanced_accuracy={score['balanced_accuracy']:.4f}")
    return score


def answer(family: Family, prepared: Prepared) -> list[str]:
    """Return the family's answers to all questions, in order, generated token by token as in service."""
    progress, texts = Progress(len(prepared)), list[str]()
    for rows in prepared.batches(BATCH):
        features, prompts, _ = prepared.take(rows)
        texts += [generated.text for generated in family.generate(features, prompts)]
        progress.say(len(texts))
    return texts


def _write(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
