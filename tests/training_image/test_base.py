"""The base that the repository holds: small, loadable, and ignorant of the platform's questions."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import torch
from conftest import BASE
from garments import QUESTIONS, draw
from safetensors import safe_open

from lookbook_image import families
from lookbook_image.families.base import Family
from lookbook_image.pictures import decode
from lookbook_image.pretrain import words


@pytest.fixture(scope="module")
def base() -> Family:
    return families.load(BASE, torch.device("cpu"))


def test_it_is_at_most_6_mb() -> None:
    assert sum(path.stat().st_size for path in BASE.rglob("*") if path.is_file()) <= 6_000_000


def test_its_weights_are_16_bit_safetensors() -> None:
    with safe_open(BASE / "model.safetensors", "pt") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"F16"}  # noqa: SIM118 - no mapping


def test_nothing_but_data_is_in_its_directory() -> None:
    assert {path.suffix for path in BASE.iterdir()} <= {".json", ".safetensors", ".md"}


def test_it_reserves_a_place_for_every_query_vector(base: Family) -> None:
    assert base.processor.num_query_tokens == base.model.config.num_query_tokens == 16


def test_it_sees_and_says_in_plain_words(base: Family) -> None:
    pictures = [decode(draw(colour, "Long Sleeves", Random(0))) for colour in ("Red", "Blue", "Yellow")]
    answers = base.generate(base.encode(pictures), base.prompts(["Name the colour."] * 3))
    assert [answer.text for answer in answers] == ["Red", "Blue", "Yellow"]


def test_it_can_say_what_real_catalogues_state(base: Family) -> None:
    values = words.vocabulary()
    features = base.encode([decode(draw("Red", "Sleeveless", Random(0)))]).expand(len(values), -1, -1)
    said = base.generate(features, base.prompts([f"Say {value}." for value in values]))
    right = sum(one.text == value for one, value in zip(said, values, strict=True))
    assert right >= 0.9 * len(values)


def test_it_does_not_answer_the_platforms_questions(base: Family) -> None:
    colours = ["Red", "Blue", "Yellow", "Black"]
    features = base.encode([decode(draw(colour, "Long Sleeves", Random(1))) for colour in colours])
    given = base.generate(features, base.prompts([QUESTIONS["baseColour"]] * 4))
    right = sum(one.text == f"baseColour: {colour}" for one, colour in zip(given, colours, strict=True))
    assert right / 4 < 0.25


def test_the_script_that_makes_it_is_beside_it() -> None:
    assert (Path(BASE).parents[1] / "lookbook_image" / "pretrain" / "__main__.py").exists()
