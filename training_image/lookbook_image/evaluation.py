"""Entry point ``evaluate``: scores models on one benchmark, beside the controls that tell what a score is worth.

Channels ``benchmark``, ``validation`` (another side, on which the probabilities are calibrated), ``base``,
``challenger`` and, if there is one, ``champion`` (the last two hold a training job's ``model.tar.gz``). Leaves
``evaluation.json`` for programs, ``evaluation.html`` for people and ``golden.json`` (see ``golden.py``) for whoever
deploys the challenger, in the model directory and in the output directory.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lookbook_image import code, examples, families, golden, metrics, page, pairs, resampling
from lookbook_image.container import Container
from lookbook_image.errors import JobError
from lookbook_image.families.base import Family
from lookbook_image.features import Prepared, prepare
from lookbook_image.pairs import Side
from lookbook_image.progress import Progress, report, say
from lookbook_image.scoring import Given, Scorer, calibrate

FILE, PAGE = "evaluation.json", "evaluation.html"
FORMAT = 2
BATCH = 128
BLIND_SEED = 0
"""The blind control shuffles the same way in every evaluation, so that weeks can be compared."""

TARGET_PRECISION = 0.9
RIVALS = ("champion", "base", "majority", "blind")


@dataclass(frozen=True)
class _Sides:
    benchmark: Side
    validation: Side


def run(container: Container) -> None:
    """Score every model that ``container``'s channels hold and write report, page and golden questions.

    Raises:
        JobError: a channel, a model, a side or a hyperparameter is missing or can't be used, or a model's answers have
            no finite probability.
    """
    target = target_precision(container.hyperparameters())
    sides = _Sides(pairs.read(container.channel("benchmark")), pairs.read(container.channel("validation")))
    if len(sides.benchmark.pictures) < 2:
        raise JobError(
            f"{sides.benchmark.directory}: one picture; the blind control needs a benchmark of at least two."
        )
    with tempfile.TemporaryDirectory() as scratch:
        given = _ask_models(container, sides, Path(scratch))
        trained_by = training_code(Path(scratch) / "challenger")
    content = _report(sides, given, target) | {"code": {"training": trained_by, "evaluation": code.version()}}
    files = {
        FILE: json.dumps(content, indent=2, allow_nan=False) + "\n",
        PAGE: page.render(content, examples.choose(sides.benchmark, given)),
        golden.FILE: golden.render(sides.benchmark, given["challenger"]),
    }
    for directory in (container.model, container.output_data):
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text)


def target_precision(values: Mapping[str, str]) -> float:
    """Return the hyperparameter ``target_precision``: which share of the answers that are used should be right.

    Raises:
        JobError: it isn't a number between 0 and 1, or there is another hyperparameter.
    """
    ours = {name: value for name, value in values.items() if not name.startswith("sagemaker_")}
    text = ours.pop("target_precision", str(TARGET_PRECISION))
    if ours:
        raise JobError(f"unknown hyperparameter {', '.join(sorted(ours))}; evaluate knows target_precision.")
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise JobError(f"hyperparameter target_precision={text!r}: expected a number between 0 and 1.")
    return value


def _report(sides: _Sides, given: Mapping[str, Given], target: float) -> dict[str, Any]:
    """Return what ``evaluation.json`` states; docs/training-image.md describes it."""
    side, challenger = sides.benchmark, given["challenger"]
    texts = {name: one.texts for name, one in given.items() if name != "validation"}
    texts["majority"] = metrics.majority_answers(side.attributes, side.answers)
    scorer = Scorer(side)
    models = {name: scorer.score(answers) for name, answers in texts.items()}
    for name in models:
        report(**{f"{name}_{figure}": models[name][figure] for figure in ("exact_match", "balanced_accuracy")})
    return {
        "format": FORMAT,
        "job": os.environ.get("TRAINING_JOB_NAME", ""),
        "benchmark": {"pairs": len(side), "pictures": len(side.pictures)},
        "chance": {
            "confidence": resampling.CONFIDENCE,
            "resamples": resampling.RESAMPLES,
            "seed": resampling.SEED,
        },
        "models": models,
        "comparisons": {rival: scorer.compare(challenger.texts, texts[rival]) for rival in RIVALS if rival in texts},
        "confusions": scorer.confusions(challenger.texts),
        "calibration": calibrate(sides.validation, given["validation"], side, challenger, target),
    }


def _ask_models(container: Container, sides: _Sides, scratch: Path) -> dict[str, Given]:
    """Ask the models that the job was given, one after the other: two needn't fit into memory.

    Returns:
        The answers of ``base``, ``challenger`` and perhaps ``champion`` about the benchmark, of the challenger with the
        pictures shuffled (``blind``), and of the challenger about the validation side (``validation``).
    """
    given = {"base": _ask_benchmark("base", container.channel("base"), sides)["base"]}
    for name in ("challenger", "champion"):
        if name == "challenger" or container.has_channel(name):
            given |= _ask_benchmark(name, merged_model(container.channel(name), scratch / name), sides)
    return given


def _ask_benchmark(name: str, directory: Path, sides: _Sides) -> dict[str, Given]:
    """Load the model at ``directory`` and ask it; the challenger also blind, and about the validation side."""
    family = families.load(directory)
    prepared = prepare(family, sides.benchmark)
    given = {name: _ask(name, family, prepared)}
    if name == "challenger":
        given["blind"] = _ask("blind", family, blinded(prepared))
        given["validation"] = _ask("validation", family, prepare(family, sides.validation))
    return given


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


def training_code(artefact: Path) -> str:
    """Return the version of the code that trained the model in ``artefact``, a training job's output unpacked.

    Raises:
        JobError: its ``report.json`` is missing or doesn't say.
    """
    path = artefact / "report.json"
    try:
        trained_by: str = json.loads(path.read_text())["code"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(f"{path}: doesn't say which code trained the model ({error!r}). Train it again.") from error
    return trained_by


def _ask(name: str, family: Family, prepared: Prepared) -> Given:
    say(f"asking {name} {len(prepared)} questions")
    given = answer(family, prepared)
    if not np.isfinite(given.probabilities).all():
        raise JobError(
            f"{name}: the probability of an answer is not a finite number. Its weights are damaged, or its training "
            "diverged; nothing was scored."
        )
    return given


def answer(family: Family, prepared: Prepared) -> Given:
    """Return the family's answers to all questions, in order, generated token by token as in service."""
    progress, texts, probabilities = Progress(len(prepared)), list[str](), list[float]()
    for rows in prepared.batches(BATCH):
        features, prompts, _ = prepared.take(rows)
        generated = family.generate(features, prompts)
        texts += [one.text for one in generated]
        probabilities += [one.probability for one in generated]
        progress.say(len(texts))
    return Given(texts, np.array(probabilities))
