"""Scores models on the sides that they never saw; ``train_accuracy_real`` runs it in the training image's environment.

``python _real_accuracy.py <fold> [<fold> …]``: each is a directory with ``job/model/merged`` and ``sides/benchmark``.
The answers of all folds are put together before anything is counted. The last line is JSON: by attribute, and pooled
over those that the reference trains, the exact match of the model, of the majority answer and of the model with the
pictures shuffled, and the same as balanced accuracy.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from lookbook_image import families, metrics, pairs
from lookbook_image.evaluation import answer, blinded
from lookbook_image.features import prepare

NOT_TRAINED_BY_THE_REFERENCE = "baseColour"


def main(folds: Sequence[str]) -> None:
    """Ask every fold's model about its own held-out pictures and print the counts."""
    attributes: list[str] = []
    given: dict[str, list[str]] = {"expected": [], "model": [], "blind": []}
    for fold in map(Path, folds):
        side = pairs.read(fold / "sides" / "benchmark")
        family = families.load(fold / "job" / "model" / "merged")
        prepared = prepare(family, side)
        attributes += side.attributes
        given["expected"] += side.answers
        given["model"] += answer(family, prepared).texts
        given["blind"] += answer(family, blinded(prepared)).texts
    given["majority"] = metrics.majority_answers(attributes, given["expected"])
    rows = {name: found.tolist() for name, found in metrics.rows_of(attributes).items()}
    task = [row for name, found in rows.items() if name != NOT_TRAINED_BY_THE_REFERENCE for row in found]
    scores = {name: score(given, found) for name, found in {"pooled": task, **rows}.items()}
    print(json.dumps(scores))


def score(given: Mapping[str, Sequence[str]], rows: Sequence[int]) -> dict[str, float]:
    """Return how each answered the questions of ``rows``: exact match and balanced accuracy."""
    picked = {name: [texts[row] for row in rows] for name, texts in given.items()}
    expected = picked.pop("expected")
    exact = {name: metrics.exact_match(expected, texts) for name, texts in picked.items()}
    balanced = {f"balanced_{name}": metrics.balanced_accuracy(expected, texts) for name, texts in picked.items()}
    return {"questions": len(rows), **exact, **balanced}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
