"""What the endpoint loads: merged weights in safetensors, and the questions that the model was trained on."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from lookbook_image import families, training_report
from lookbook_image.answering import Asked, answer
from lookbook_image.errors import JobError
from lookbook_image.families.base import Family

PICKLES = frozenset({".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"})

_EXPECTED_REPORT = "expected what training writes, with 'questions' (attribute to question)"


def load(model: Path) -> Family:
    """Load the model of ``model/merged`` and let it answer once, so that the first caller neither waits nor finds out.

    Raises:
        JobError: a file is missing, damaged or a pickle, or the model can't answer.
    """
    refuse_pickles(model)
    family = families.load(model / "merged")
    try:
        answer(family, [Asked(family.pixels([Image.new("RGB", (64, 64))]), ("What is this?",))])
    except Exception as error:
        raise JobError(f"{model / 'merged'}: loaded, but it can't answer ({type(error).__name__}: {error}).") from error
    return family


def refuse_pickles(model: Path) -> None:
    """Refuse a model with weights that run code when they are read, even beside others: they aren't ours.

    Raises:
        JobError: the message names the file.
    """
    found = sorted(path for path in model.rglob("*") if path.suffix.lower() in PICKLES)
    if found:
        raise JobError(f"{found[0]}: a pickle, which may hold code. Only safetensors are served; take it out.")


def own_questions(model: Path) -> tuple[str, ...]:
    """Return the questions that the model was trained on, one an attribute; none if it came without a report.

    Raises:
        JobError: the report isn't what training writes.
    """
    path = model / training_report.FILE
    if not path.exists():
        return ()
    try:
        questions = json.loads(path.read_text())["questions"]
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(f"{path}: {_EXPECTED_REPORT} ({type(error).__name__}: {error}).") from error
    if not isinstance(questions, dict) or not all(isinstance(one, str) for one in questions.values()):
        raise JobError(f"{path}: {_EXPECTED_REPORT}, found {str(questions)[:200]}.")
    return tuple(questions[attribute] for attribute in sorted(questions))
