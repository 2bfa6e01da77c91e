from __future__ import annotations

import base64
import hashlib
import json

import numpy as np
import pytest
from garments import write_side

from lookbook_image import golden, pairs
from lookbook_image.errors import JobError
from lookbook_image.pairs import Side
from lookbook_image.scoring import Given


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Side:
    return pairs.read(write_side(tmp_path_factory.mktemp("benchmark"), garments=30, seed=5))


def given(side: Side, probability: float = 0.9) -> Given:
    return Given(side.answers, np.full(len(side), probability))


def test_every_answer_of_the_model_is_among_the_golden_questions(side: Side) -> None:
    chosen = golden.choose(side, given(side))
    assert len(chosen) == golden.QUESTIONS
    assert {side.answers[row] for row in chosen} == set(side.answers)


def test_no_picture_is_asked_about_twice(side: Side) -> None:
    chosen = golden.choose(side, given(side))
    assert len({int(side.picture_of_pair[row]) for row in chosen}) == len(chosen)


def test_an_answer_that_another_device_might_change_is_not_golden(side: Side) -> None:
    probabilities = np.where(np.arange(len(side)) < 6, 0.7, 0.5)
    assert set(golden.choose(side, Given(side.answers, probabilities))) <= set(range(6))


def test_of_a_model_that_is_never_sure_the_surest_answers_are_golden(side: Side) -> None:
    probabilities = np.linspace(0.1, 0.5, len(side))
    assert golden.choose(side, Given(side.answers, probabilities))[0] == len(side) - 1


def test_the_file_has_the_pictures_as_they_are_and_what_the_model_answered(side: Side) -> None:
    answers = Given(["Odd: Answer", *side.answers[1:]], np.full(len(side), 0.9))
    questions = json.loads(golden.render(side, answers))
    assert len(questions) == golden.QUESTIONS
    for one in questions:
        assert f"{hashlib.sha256(base64.b64decode(one['picture'])).hexdigest()}.jpg" == one["name"]
    assert (questions[0]["attribute"], questions[0]["answer"]) == (side.attributes[0], "Odd: Answer")
    assert questions[0]["question"] == side.questions[0]


def test_a_picture_too_large_to_ask_about_is_left_out(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "MAX_PICTURE_BYTES", 10)
    assert json.loads(golden.render(side, given(side))) == []


def test_a_picture_that_is_missing_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    side = pairs.read(write_side(tmp_path_factory.mktemp("benchmark"), garments=4, seed=6))
    (side.directory / "pictures-00000.tar").unlink()
    with pytest.raises(JobError, match="4 of 4 pictures aren't in pictures"):
        golden.render(side, given(side))
