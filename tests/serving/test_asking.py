"""What becomes of each picture when the endpoint misbehaves."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.serving.hostile import HostileEndpoint

from lookbook import storage
from lookbook.errors import PermanentError, RetryableError
from lookbook.serving import endpoint
from lookbook.serving.asking import Asking, ModelChangedError, Result
from lookbook.serving.endpoint import Pace
from lookbook.serving.inputs import Input
from lookbook.serving.invocation import MalformedResponseError, read_answers, trouble
from lookbook.serving.models import AskedModel
from lookbook.settings import get_settings
from lookbook.vqa.questions import QUESTIONS, WORDINGS

MODEL = AskedModel("v1", "arn", "model-v1", ("Fabric",), "config-v1")


@pytest.fixture
async def hostile(bucket: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HostileEndpoint]:
    """The hostile endpoint in SageMaker's place, and waits too short to be seen."""
    monkeypatch.setattr(endpoint, "_FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(endpoint, "_LONGEST_WAIT_S", 0.01)
    async with HostileEndpoint().serving() as serving:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", serving.url)
        yield serving


def patience(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Wait for an endpoint only so long."""
    monkeypatch.setattr(endpoint, "_SHORTEST_ATTEMPT_S", 0.01)
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_PATIENCE_S", str(seconds))
    get_settings.cache_clear()


def picture(text: str) -> Input:
    uri = f"s3://lookbook/drops/2026-11-16/images/{text.replace(' ', '-')}.jpg"
    storage.write_bytes(uri, text.encode())
    return Input(uri, hashlib.sha256(text.encode()).hexdigest(), ("Fabric",))


async def ask(*texts: str) -> dict[str, Result]:
    """Ask about pictures; return the results by what is written in the picture."""
    inputs = {picture(text): text for text in texts}
    results = await Asking("2026-11-16", MODEL).all(set(inputs))
    return {inputs[asked]: result for asked, result in results.items()}


@pytest.mark.parametrize(
    ("text", "status", "reason", "requests"),
    [
        ("shirt", "answered", None, 1),
        ("throttled 3", "answered", None, 4),
        ("full 7", "answered", None, 8),
        ("refuse", "refused", "400!", 1),
        ("crash", "unanswered", "the container says 500 (after 5 attempts)", 5),
        ("full 20", "answered", None, 21),
        ("html", "unanswered", "expected {'answers': [one for each of 1 questions]", 1),
    ],
)
async def test_each_picture_has_its_outcome_and_the_others_theirs(
    hostile: HostileEndpoint, text: str, status: str, reason: str | None, requests: int
) -> None:
    results = await ask(text, "one", "two")
    assert results[text].status == status
    assert (reason or "") in (results[text].reason or "")
    assert hostile.asked[text] == requests
    assert [results[other].status for other in ("one", "two")] == ["answered", "answered"]


async def test_pictures_nobody_answers_about_are_given_up_once_patience_ends(
    hostile: HostileEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience(monkeypatch, 2)
    alone, others = ("cut", "gone", "reset", "slow"), [f"thing {number}" for number in range(12)]
    results = await ask(*alone, *others)
    assert {results[text].status for text in alone} == {"unanswered"}
    assert {results[other].status for other in others} == {"answered"}


async def test_a_picture_that_the_container_dies_of_is_given_up_while_others_are_answered(
    hostile: HostileEndpoint,
) -> None:
    things = [f"thing {number}" for number in range(60)]
    results = await ask("gone", *things)
    assert "the container says 0" in (results["gone"].reason or "")
    assert {results[thing].status for thing in things} == {"answered"}


async def test_what_it_took_to_get_an_answer_is_recorded(hostile: HostileEndpoint) -> None:
    result = (await ask("throttled 2"))["throttled 2"]
    assert (result.attempts, result.transform_job) == (3, None)
    assert result.latency_ms is not None
    assert storage.read_json(result.uri)["attempts"] == 3


async def test_callers_outlast_a_restart_of_the_container(hostile: HostileEndpoint) -> None:
    hostile.down = 100
    results = await ask(*(f"shirt {number}" for number in range(16)))
    assert {result.status for result in results.values()} == {"answered"}
    assert sum(hostile.asked.values()) == 116


async def test_an_endpoint_that_is_silent_for_all_ends_the_run_for_now(
    hostile: HostileEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(*(f"known {number}" for number in range(8)))
    patience(monkeypatch, 0.2)
    hostile.down = 10**9
    with pytest.raises(RetryableError, match=r"no answer about 4 of \d+ pictures asked about; the last reason: .*kept"):
        await ask(*(f"known {number}" for number in range(8)), *(f"more {number}" for number in range(8)))


async def test_an_endpoint_that_cannot_be_reached_is_waited_for_too(
    hostile: HostileEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience(monkeypatch, 0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://127.0.0.1:9")
    with pytest.raises(RetryableError, match=r"Could not connect.*after \d+ attempts"):
        await ask("one")


async def test_what_was_answered_before_the_silence_is_not_asked_again(
    hostile: HostileEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask("one", "two")
    patience(monkeypatch, 0.1)
    hostile.down = 10**9
    assert {result.status for result in (await ask("one", "two")).values()} == {"answered"}


async def test_a_storm_of_faults_ends_the_run_before_every_picture_was_tried(hostile: HostileEndpoint) -> None:
    with pytest.raises(RetryableError, match=r"no answer about 2\d of 2\d pictures asked about; .*says 500"):
        await ask(*(f"crash {number}" for number in range(60)))
    assert len(hostile.asked) < 40


async def test_an_endpoint_that_says_only_rubbish_serves_something_else(hostile: HostileEndpoint) -> None:
    with pytest.raises(PermanentError, match="Is another image deployed there"):
        await ask("html 1", "html 2")


async def test_an_answer_of_another_version_is_not_kept(hostile: HostileEndpoint) -> None:
    with pytest.raises(ModelChangedError, match="Model v9 answers where v1 was in service"):
        await ask("other version")
    assert list(storage.list_objects("s3://lookbook/predictions/")) == []


async def test_a_full_endpoint_is_asked_by_fewer_at_a_time(
    hostile: HostileEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed, slower = [], Pace.slower

    def noted(pace: Pace) -> None:
        slower(pace)
        allowed.append(pace.allowed)

    monkeypatch.setattr(Pace, "slower", noted)
    results = await ask(*(f"throttled {number}" for number in range(5, 13)))
    assert {result.status for result in results.values()} == {"answered"}
    assert min(allowed) == 1
    assert hostile.most_at_once <= 8


async def test_pace_lets_no_more_through_than_it_says() -> None:
    pace, inside, most = Pace(4), 0, 0
    for _ in range(2):
        pace.slower()

    async def enter() -> None:
        nonlocal inside, most
        async with pace:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(20)))
    assert (pace.allowed, most) == (2, 2)


def test_pace_comes_back_one_by_one_and_never_ends() -> None:
    pace = Pace(4)
    for _ in range(9):
        pace.slower()
    assert pace.allowed == 1
    allowed = []
    for _ in range(12):
        pace.faster()
        allowed.append(pace.allowed)
    assert allowed == sorted(allowed)
    assert (allowed[0], allowed[-1]) == (2, 4)


@pytest.mark.parametrize(("said", "at_least"), [("7", 7.0), ("86400", 20.0), ("Sat, 21 Nov 2026 16:00:00 GMT", 0.0)])
def test_retry_after_is_heeded_within_reason(said: str, at_least: float) -> None:
    error = ClientError(
        {
            "Error": {"Code": "ThrottlingException", "Message": "slow down"},
            "ResponseMetadata": {"HTTPHeaders": {"retry-after": said}},
        },
        "InvokeEndpoint",
    )
    wait = endpoint._wait(1, trouble(error))
    assert at_least <= wait <= max(1.5 * at_least, 1.0)


GOOD = {"question": QUESTIONS["Fabric"], "attribute": "Fabric", "value": "Wool", "probability": 0.5, "text": "x"}


def container_says(**fault: object) -> bytes:
    return json.dumps({"answers": [GOOD | fault], "model_version": "v1"}).encode()


@pytest.mark.parametrize(
    "fault",
    [
        {"value": 3},
        {"probability": "sure"},
        {"probability": 7},
        {"probability": None},
        {"text": None},
        {"question": "another"},
    ],
)
def test_an_answer_of_another_form_is_no_answer(fault: dict[str, Any]) -> None:
    with pytest.raises(MalformedResponseError):
        read_answers(container_says(**fault), ("Fabric",))


def test_an_answer_counts_in_whatever_words_of_training_it_was_asked_for() -> None:
    words = WORDINGS["Fabric"][-1]
    [read] = read_answers(container_says(question=words), ("Fabric",)).answers
    assert (read.question, read.value) == (words, "Wool")


def test_an_answer_without_a_value_is_an_abstention_only_if_it_is_about_the_attribute() -> None:
    [unsure] = read_answers(container_says(value=None), ("Fabric",)).answers
    [unread] = read_answers(container_says(value=None, attribute=None), ("Fabric",)).answers
    assert (unsure.value, unsure.abstained, unsure.text) == (None, True, "x")
    assert (unread.value, unread.abstained) == (None, False)
