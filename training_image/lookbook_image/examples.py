"""Pictures with right and wrong answers, chosen for a person to look at."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

import numpy as np
from PIL import Image

from lookbook_image import answers, metrics
from lookbook_image.pairs import Side, open_pictures
from lookbook_image.scoring import Given

WRONG, RIGHT = 24, 12
THUMBNAIL = (120, 160)
"""Width and height in pixels that a picture is fitted into: some 5 kB as JPEG."""
_SEED = 0


@dataclass(frozen=True)
class Example:
    """One question of the benchmark and what was answered; values without the attribute before them."""

    picture: str
    """A ``data:`` address."""
    name: str
    """The picture's name in the data set, its checksum."""
    attribute: str
    expected: str
    given: str
    probability: float
    champion: str | None
    """What the champion answered; ``None`` without one."""


@dataclass(frozen=True)
class Examples:
    """The wrong answers that the challenger was surest of, and right ones picked by chance."""

    wrong: list[Example]
    right: list[Example]


def choose(side: Side, given: Mapping[str, Given]) -> Examples:
    """Choose questions of every attribute in turn, each about another picture, and read their pictures.

    Args:
        side: the benchmark.
        given: answers to it by model: ``challenger`` and perhaps ``champion``.

    Raises:
        JobError: a picture is missing or unreadable.
    """
    challenger = given["challenger"]
    by_chance = np.random.default_rng(_SEED).permutation(len(side))
    surest_first = np.argsort(-challenger.probabilities, kind="stable")
    hit = [text == answer for text, answer in zip(challenger.texts, side.answers, strict=True)]
    wrong = _in_turn(side, (row for row in surest_first if not hit[row]), WRONG)
    right = _in_turn(side, (row for row in by_chance if hit[row]), RIGHT)
    pictures = _thumbnails(side, [*wrong, *right])

    def example(row: int) -> Example:
        attribute, champion = side.attributes[row], given.get("champion")
        name = side.pictures[side.picture_of_pair[row]]
        return Example(
            picture=pictures[name],
            name=name,
            attribute=attribute,
            expected=_value(attribute, side.answers[row]),
            given=_value(attribute, challenger.texts[row]),
            probability=float(challenger.probabilities[row]),
            champion=_value(attribute, champion.texts[row]) if champion else None,
        )

    return Examples([example(row) for row in wrong], [example(row) for row in right])


def _in_turn(side: Side, rows: Iterable[int], number: int) -> list[int]:
    """Take ``number`` of ``rows``, one of each attribute in turn, no picture twice."""
    by_attribute: dict[str, list[int]] = {attribute: [] for attribute in metrics.rows_of(side.attributes)}
    seen = set[int]()
    for row in rows:
        if (picture := int(side.picture_of_pair[row])) not in seen:
            seen.add(picture)
            by_attribute[side.attributes[row]].append(int(row))
    turns = chain.from_iterable(zip_longest(*by_attribute.values()))
    return list(islice((row for row in turns if row is not None), number))


def _thumbnails(side: Side, rows: Iterable[int]) -> dict[str, str]:
    """Return the pictures of ``rows`` by name, small, as ``data:`` addresses."""
    names = tuple(dict.fromkeys(side.pictures[side.picture_of_pair[row]] for row in rows))
    if not names:
        return {}
    chosen = dataclasses.replace(side, pictures=names)
    return {names[place]: _data_address(picture) for place, picture in open_pictures(chosen, at_least=max(THUMBNAIL))}


def _data_address(picture: Image.Image) -> str:
    picture.thumbnail(THUMBNAIL)
    file = io.BytesIO()
    # Written anew, so that nothing of the file it came from but its pixels gets into the page.
    picture.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _value(attribute: str, text: str) -> str:
    parsed = answers.parse(text)
    return parsed[1] if parsed and parsed[0] == attribute else text
