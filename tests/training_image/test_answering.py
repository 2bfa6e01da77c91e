from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from garments import draw
from PIL import Image
from torch import Tensor

from lookbook_image.answering import Answer, Asked, answer
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.pictures import decode

BATCH = [
    ("Red", ("What is the colour?",)),
    ("Blue", ("What is the fabric of the clothing in this picture?", "What is the colour?", "Has it a hood?")),
    ("Black", ("What is the sleeve length?", "What is the colour?")),
]


@pytest.fixture
def family(lasting_family: Blip2Family) -> Blip2Family:
    return lasting_family


@pytest.fixture
def asked(family: Blip2Family) -> list[Asked]:
    pictures = {colour: decode(draw(colour, "Long Sleeves", Random(0))) for colour, _ in BATCH}
    return [Asked(family.pixels([pictures[colour]]), questions) for colour, questions in BATCH]


def same(one: Answer, other: Answer) -> bool:
    return (one.question, one.text) == (other.question, other.text) and one.probability == pytest.approx(
        other.probability, rel=1e-3
    )


def test_requests_answered_together_get_what_they_get_alone(family: Blip2Family, asked: list[Asked]) -> None:
    together = answer(family, asked)
    alone = [answer(family, [one])[0] for one in asked]
    assert [len(given) for given in together] == [1, 3, 2]
    for given, expected in zip(together, alone, strict=True):
        assert all(map(same, given, expected))


def test_a_picture_is_encoded_once_and_all_questions_are_one_generate(
    family: Blip2Family, asked: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, generated = [], []
    features, generate = family.features, family.generate

    def counted_features(pixels: Tensor) -> Tensor:
        encoded.append(len(pixels))
        return features(pixels)

    def counted_generate(rows: Tensor, prompts: Sequence[str]) -> list:
        generated.append(len(rows))
        return generate(rows, prompts)

    monkeypatch.setattr(family, "features", counted_features)
    monkeypatch.setattr(family, "generate", counted_generate)
    answer(family, asked)
    assert (encoded, generated) == ([3], [6])


def test_pixels_made_one_by_one_are_those_made_together(family: Blip2Family) -> None:
    pictures = [Image.new("RGB", (90, 120), colour) for colour in ("red", "blue")]
    together = family.pixels(pictures)
    for row, picture in enumerate(pictures):
        assert together[row].equal(family.pixels([picture])[0])
