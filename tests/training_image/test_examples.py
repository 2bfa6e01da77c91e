from __future__ import annotations

import base64
import io
from collections import Counter

import numpy as np
import pytest
from garments import write_side
from PIL import Image

from lookbook_image import examples, pairs
from lookbook_image.examples import THUMBNAIL, choose
from lookbook_image.pairs import Side
from lookbook_image.scoring import Given


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Side:
    return pairs.read(write_side(tmp_path_factory.mktemp("benchmark"), garments=30, seed=5))


def given(side: Side, wrong: set[int]) -> Given:
    """Answers, wrong at these rows, each row surer than the one before."""
    texts = [f"{side.attributes[row]}: Odd" if row in wrong else answer for row, answer in enumerate(side.answers)]
    return Given(texts, np.linspace(0.1, 0.9, len(side)))


def test_the_surest_wrong_answers_come_first_one_of_each_attribute_in_turn(side: Side) -> None:
    found = choose(side, {"challenger": given(side, set(range(len(side))))}).wrong
    assert len(found) == examples.WRONG
    assert found[0].probability == pytest.approx(0.9)
    attributes = [one.attribute for one in found]
    # Rows alternate between two attributes and the later of a picture's two is the surer one.
    assert Counter(attributes) == {"baseColour": examples.WRONG}


def test_no_attribute_crowds_out_another(side: Side) -> None:
    colours = {row for row, attribute in enumerate(side.attributes) if attribute == "baseColour" and row > 10}
    found = choose(side, {"challenger": given(side, colours | {0, 2})}).wrong
    assert [one.attribute for one in found][:4] == ["Sleeve Length", "baseColour", "Sleeve Length", "baseColour"]


def test_no_picture_is_shown_twice_among_the_wrong_ones(side: Side) -> None:
    found = choose(side, {"challenger": given(side, set(range(len(side))))}).wrong
    assert len({one.name for one in found}) == len(found)


def test_right_answers_are_picked_by_chance_and_the_same_every_time(side: Side) -> None:
    answers = {"challenger": given(side, set())}
    found = choose(side, answers)
    assert found.wrong == []
    assert len(found.right) == examples.RIGHT
    assert all(one.given == one.expected for one in found.right)
    assert choose(side, answers) == found


def test_an_example_says_what_the_champion_answered(side: Side) -> None:
    champion = Given(["no form at all"] * len(side), np.ones(len(side)))
    [one] = choose(side, {"challenger": given(side, {3}), "champion": champion}).wrong
    assert (one.attribute, one.given, one.champion) == ("baseColour", "Odd", "no form at all")
    assert one.expected == side.answers[3].removeprefix("baseColour: ")


def test_the_picture_is_the_questions_own_and_small(side: Side) -> None:
    [one] = choose(side, {"challenger": given(side, {7})}).wrong
    assert one.name == side.pictures[side.picture_of_pair[7]]
    kind, _, data = one.picture.partition(",")
    assert kind == "data:image/jpeg;base64"
    shown = Image.open(io.BytesIO(base64.b64decode(data)))
    assert shown.width <= THUMBNAIL[0] and shown.height <= THUMBNAIL[1]
    # The garment's own colour stands in the middle.
    [own] = [
        picture
        for place, picture in pairs.open_pictures(side, at_least=THUMBNAIL[0])
        if side.pictures[place] == one.name
    ]
    middle = np.array(own.getpixel((own.width // 2, own.height // 2)))
    assert np.abs(middle - shown.getpixel((shown.width // 2, shown.height // 2))).max() < 25
