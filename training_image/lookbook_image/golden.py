"""Questions of the benchmark whose answers a deployed model must repeat: proof that it is the model that was judged.

Whoever deploys the model asks them of the endpoint. Pictures go with them as they are, so that they can be asked when
the data set is long gone.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest

import numpy as np

from lookbook_image.pairs import Side, picture_files
from lookbook_image.scoring import Given

FILE = "golden.json"
QUESTIONS = 16
SURE = 0.6
"""From this probability on no other token comes near, so that another batch or device decodes the same answer."""
MAX_PICTURE_BYTES = 1024 * 1024


def render(side: Side, challenger: Given) -> str:
    """Return the file's text: a JSON list of ``name``, ``picture`` (base64), ``question``, ``attribute``, ``answer``.

    Args:
        side: the benchmark.
        challenger: the answers to it of the model that the file is for.

    Raises:
        JobError: a picture is missing.
    """
    rows = choose(side, challenger)
    files = picture_files(side, {_picture(side, row) for row in rows})
    questions = [
        {
            "name": _picture(side, row),
            "picture": base64.b64encode(files[_picture(side, row)]).decode(),
            "attribute": side.attributes[row],
            "question": side.questions[row],
            "answer": challenger.texts[row],
        }
        for row in rows
        if len(files[_picture(side, row)]) <= MAX_PICTURE_BYTES
    ]
    return json.dumps(questions, indent=1) + "\n"


def choose(side: Side, challenger: Given) -> list[int]:
    """Choose the surest row of each answer in turn, each about another picture, at most ``QUESTIONS``.

    One that always says the same, or that confuses its questions, can't repeat them.
    """
    surest_first = [int(row) for row in np.argsort(-challenger.probabilities, kind="stable")]
    sure = [row for row in surest_first if challenger.probabilities[row] >= SURE]
    return list(islice(_each_answer_in_turn(side, challenger, sure or surest_first), QUESTIONS))


def _each_answer_in_turn(side: Side, challenger: Given, rows: Iterable[int]) -> Iterator[int]:
    waiting: dict[str, list[int]] = {}
    for row in rows:
        waiting.setdefault(challenger.texts[row], []).append(row)
    seen = set[str]()
    turns = chain.from_iterable(zip_longest(*waiting.values()))
    for row in turns:
        if row is not None and (name := _picture(side, row)) not in seen:
            seen.add(name)
            yield row


def _picture(side: Side, row: int) -> str:
    return side.pictures[side.picture_of_pair[row]]
