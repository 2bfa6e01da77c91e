from __future__ import annotations

import pytest

from lookbook_image.errors import JobError
from lookbook_image.intake import Intake, Limits
from lookbook_image.requests import RefusedError


def test_limits_come_from_the_environment() -> None:
    environment = {"LOOKBOOK_MAX_BATCH_QUESTIONS": "1", "LOOKBOOK_MAX_SECONDS": "9", "LOOKBOOK_MAX_FISH": "x"}
    assert Limits.from_environment(environment) == Limits(batch_questions=1, seconds=9)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many", "٣"])
def test_a_limit_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(JobError, match=r"LOOKBOOK_MAX_REQUESTS=.*expected a whole number"):
        Limits.from_environment({"LOOKBOOK_MAX_REQUESTS": text})


def test_a_place_is_free_again_however_its_request_ended() -> None:
    intake = Intake(Limits(requests=1))
    with pytest.raises(ZeroDivisionError), intake.place():
        raise ZeroDivisionError
    with intake.place(), pytest.raises(RefusedError, match="1 requests are in hand"), intake.place():
        pytest.fail("there was a second place")
    assert intake.requests == 0
