from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from garments import QUESTIONS, draw
from starlette.testclient import TestClient

from lookbook_image import intake, serving
from lookbook_image.abstaining import Thresholds
from lookbook_image.container import Container
from lookbook_image.errors import JobError
from lookbook_image.families.base import Generated
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.intake import Limits
from lookbook_image.serving import BROKEN_AFTER, Service

PICTURE = draw("Red", "Sleeveless", Random(0))
IMAGE = base64.b64encode(PICTURE).decode()
ASKED = tuple(QUESTIONS.values())
ONE = {"image": IMAGE, "prompt": ASKED[0]}
TIMEOUT = 30


@pytest.fixture
def family(lasting_family: Blip2Family) -> Blip2Family:
    return lasting_family


@pytest.fixture
def client(family: Blip2Family) -> TestClient:
    return client_of(Service(family, "v7", ASKED))


def client_of(service: Service) -> TestClient:
    return TestClient(service.app(), raise_server_exceptions=False)


def answering(family: Blip2Family, monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    """Let the model say ``texts``: what an untrained one says is of no use here."""
    monkeypatch.setattr(family, "generate", lambda features, prompts: [Generated(text, 0.5) for text in texts])


class Model:
    """A model that answers only when it is let go, and notes how many questions each batch had."""

    def __init__(self, family: Blip2Family, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self._generate = family.generate
        monkeypatch.setattr(family, "generate", self.generate)

    def generate(self, features: Any, prompts: Any) -> list[Generated]:
        self.batches.append(len(features))
        self.begun.release()
        assert self.go.acquire(timeout=TIMEOUT)
        return self._generate(features, prompts)

    async def is_busy(self) -> None:
        """Wait until the next batch has begun."""
        assert await asyncio.to_thread(self.begun.acquire, timeout=TIMEOUT)


@pytest.fixture
def model(family: Blip2Family, monkeypatch: pytest.MonkeyPatch) -> Model:
    return Model(family, monkeypatch)


def over_http(service: Service, story: Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]) -> None:
    """Run ``story`` with a client of ``service`` that can have many requests in hand."""

    async def told() -> None:
        transport = httpx.ASGITransport(service.app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint", timeout=TIMEOUT) as client:
            await story(client)

    asyncio.run(told())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other threads and tasks bring about."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


def test_ping_says_that_the_model_is_there(client: TestClient) -> None:
    assert client.get("/ping").status_code == 200


def test_a_prompt_is_answered_as_attribute_and_value(
    client: TestClient, family: Blip2Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(family, monkeypatch, "Sleeve Length: Long Sleeves")
    response = client.post("/invocations", json=ONE)
    assert response.json() == {"Sleeve Length": "Long Sleeves"}


def test_questions_are_answered_together_with_probabilities_and_version(
    client: TestClient, family: Blip2Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(family, monkeypatch, "Sleeve Length: Long Sleeves", "Red")
    response = client.post("/invocations", json={"image": IMAGE, "questions": ASKED})
    assert response.json() == {
        "answers": [
            {
                "question": ASKED[0],
                "attribute": "Sleeve Length",
                "value": "Long Sleeves",
                "probability": 0.5,
                "text": "Sleeve Length: Long Sleeves",
            },
            {"question": ASKED[1], "attribute": None, "value": None, "probability": 0.5, "text": "Red"},
        ],
        "model_version": "v7",
    }


def test_a_picture_itself_is_answered_like_a_request_with_the_models_own_questions(client: TestClient) -> None:
    headers = {"content-type": "application/x-image"}
    alone = client.post("/invocations", content=PICTURE, headers=headers).json()
    named = client.post("/invocations", json={"image": IMAGE, "questions": ASKED}).json()
    assert alone == named


def test_an_answer_in_another_form_is_passed_on_as_text(
    client: TestClient, family: Blip2Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(family, monkeypatch, "Red")
    response = client.post("/invocations", json={"image": IMAGE, "prompt": QUESTIONS["baseColour"]})
    assert response.json() == {"text": "Red"}


def test_an_answer_below_its_threshold_has_no_value(family: Blip2Family, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(family, monkeypatch, "Fabric: Cotton", "Fit: Slim")
    client = client_of(Service(family, "v7", thresholds=Thresholds({"Fabric": 0.6, "Fit": 0.4})))
    answers = client.post("/invocations", json={"image": IMAGE, "questions": ASKED}).json()["answers"]
    assert [(one["attribute"], one["value"], one["probability"], one["text"]) for one in answers] == [
        ("Fabric", None, 0.5, "Fabric: Cotton"),
        ("Fit", "Slim", 0.5, "Fit: Slim"),
    ]
    assert 'lookbook_abstentions_total{attribute="Fabric"} 1.0' in client.get("/metrics").text


def test_a_prompt_that_the_model_abstains_from_gets_null(family: Blip2Family, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(family, monkeypatch, "Fabric: Cotton")
    client = client_of(Service(family, "v7", thresholds=Thresholds({"Fabric": None})))
    assert client.post("/invocations", json=ONE).json() == {"Fabric": None}


def test_requests_that_come_while_the_model_is_busy_share_a_batch_and_get_their_own_answers(
    family: Blip2Family, model: Model
) -> None:
    service = Service(family, "v7")
    requests = [
        {"image": base64.b64encode(draw(colour, "Long Sleeves", Random(0))).decode(), "questions": list(questions)}
        for colour, questions in (("Red", ASKED), ("Blue", ASKED[:1]), ("Black", ASKED[::-1]))
    ]
    model.go.release(10)
    client = client_of(service)
    alone = [client.post("/invocations", json=request).json()["answers"] for request in requests]
    model.go, model.batches, model.begun = threading.Semaphore(0), [], threading.Semaphore(0)

    async def story(client: httpx.AsyncClient) -> None:
        first = asyncio.create_task(client.post("/invocations", json=ONE))
        await model.is_busy()
        others = [asyncio.create_task(client.post("/invocations", json=request)) for request in requests]
        metrics = client.get("/metrics")
        await until(lambda: service.queued == 3)
        assert "lookbook_requests_queued 3.0" in (await metrics).text
        model.go.release(2)
        assert (await first).status_code == 200
        for task, expected in zip(others, alone, strict=True):
            given = (await task).json()["answers"]
            assert [one["text"] for one in given] == [one["text"] for one in expected]
            assert [one["question"] for one in given] == [one["question"] for one in expected]
            for one, other in zip(given, expected, strict=True):
                assert one["probability"] == pytest.approx(other["probability"], rel=1e-3)

    over_http(service, story)
    assert model.batches == [1, 5]


def test_a_batch_holds_no_more_questions_than_its_limit(family: Blip2Family, model: Model) -> None:
    service = Service(family, "v7", limits=Limits(batch_questions=2))

    async def story(client: httpx.AsyncClient) -> None:
        first = asyncio.create_task(client.post("/invocations", json=ONE))
        await model.is_busy()
        others = [asyncio.create_task(client.post("/invocations", json=ONE)) for _ in range(3)]
        await until(lambda: service.queued == 3)
        model.go.release(10)
        assert {(await task).status_code for task in (first, *others)} == {200}

    over_http(service, story)
    assert model.batches == [1, 2, 1]


def test_a_long_question_is_no_burden_to_a_batch_of_short_ones(family: Blip2Family, model: Model) -> None:
    service = Service(family, "v7")
    short = {"image": IMAGE, "questions": ["Why?"] * 64}

    async def story(client: httpx.AsyncClient) -> None:
        first = asyncio.create_task(client.post("/invocations", json=ONE))
        await model.is_busy()
        tasks = [first, asyncio.create_task(client.post("/invocations", json=short))]
        await until(lambda: service.queued == 1)
        tasks.append(asyncio.create_task(client.post("/invocations", json={"image": IMAGE, "prompt": "y" * 500})))
        await until(lambda: service.queued == 2)
        model.go.release(10)
        assert {(await task).status_code for task in tasks} == {200}

    over_http(service, story)
    assert model.batches == [1, 64, 1]


def test_a_request_at_which_the_model_fails_leaves_the_others_of_its_batch_alone(
    family: Blip2Family, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, prompts = Service(family, "v7"), family.prompts

    def failing(questions: list[str]) -> Any:
        if "poison" in questions:
            raise ValueError("poisoned")
        return prompts(questions)

    monkeypatch.setattr(family, "prompts", failing)

    async def story(client: httpx.AsyncClient) -> None:
        first = asyncio.create_task(client.post("/invocations", json=ONE))
        await model.is_busy()
        poison = asyncio.create_task(client.post("/invocations", json={"image": IMAGE, "prompt": "poison"}))
        others = [asyncio.create_task(client.post("/invocations", json=ONE)) for _ in range(2)]
        await until(lambda: service.queued == 3)
        model.go.release(10)
        assert {(await task).status_code for task in (first, *others)} == {200}
        assert (await poison).status_code == 500
        assert "ValueError" in (await poison).json()["error"]

    over_http(service, story)


def test_more_requests_than_fit_are_told_to_come_again(family: Blip2Family, model: Model) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        first = asyncio.create_task(client.post("/invocations", json=ONE))
        await model.is_busy()
        refused = await client.post("/invocations", json=ONE)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "1 requests are in hand" in refused.json()["error"]
        model.go.release(2)
        assert (await first).status_code == 200
        assert (await client.post("/invocations", json=ONE)).status_code == 200
        assert 'lookbook_requests_total{status="429"} 1.0' in (await client.get("/metrics")).text

    over_http(Service(family, "v7", limits=Limits(requests=1)), story)


def test_a_request_that_waits_too_long_is_told_so_and_never_reaches_the_model(
    family: Blip2Family, model: Model
) -> None:
    service = Service(family, "v7", limits=Limits(seconds=2))

    async def story(client: httpx.AsyncClient) -> None:
        in_hand = asyncio.create_task(client.post("/invocations", json=ONE))
        await model.is_busy()
        late = await client.post("/invocations", json=ONE)
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert "not answered within 2 s" in late.json()["error"]
        assert (await in_hand).status_code == 503
        model.go.release(2)
        await asyncio.to_thread(service.close)

    over_http(service, story)
    assert model.batches == [1]


def test_a_body_that_does_not_come_is_not_waited_for(family: Blip2Family) -> None:
    async def slowly() -> Any:
        yield b'{"image":'
        await asyncio.Event().wait()

    async def story(client: httpx.AsyncClient) -> None:
        response = await client.post("/invocations", content=slowly(), headers={"content-type": "application/json"})
        assert response.status_code == 408
        assert "did not come within 0.1 s" in response.json()["error"]

    over_http(Service(family, "v7", limits=Limits(seconds=0.1)), story)


def test_bodies_take_no_more_memory_than_there_is_for_them(family: Blip2Family) -> None:
    client = client_of(Service(family, "v7", limits=Limits(body_megabytes=1)))
    response = client.post("/invocations", json={"image": "A" * 2**20, "prompt": "?"})
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    assert client.post("/invocations", json=ONE).status_code == 200


def test_pings_fail_once_the_model_fails_at_everything(
    client: TestClient, family: Blip2Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(family, "generate", lambda *_: 1 / 0)
        for _ in range(BROKEN_AFTER):
            assert client.get("/ping").status_code == 200
            assert client.post("/invocations", json=ONE).status_code == 500
        assert client.get("/ping").status_code == 503
    assert client.post("/invocations", json=ONE).status_code == 200
    assert client.get("/ping").status_code == 200


def test_a_bad_request_gets_a_reason(client: TestClient) -> None:
    response = client.post("/invocations", json={"image": IMAGE})
    assert response.status_code == 400
    assert "either 'prompt'" in response.json()["error"]
    assert "retry-after" not in response.headers


def test_another_content_type_gets_415(client: TestClient) -> None:
    response = client.post("/invocations", content=b"a,b", headers={"content-type": "text/csv; charset=utf-8"})
    assert response.status_code == 415
    assert "send application/json" in response.json()["error"]


@pytest.mark.parametrize("header", [{}, {"content-length": "2000"}])
def test_a_body_that_is_too_large_gets_413(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, header: dict[str, str]
) -> None:
    monkeypatch.setattr(intake, "MAX_BODY_BYTES", 1000)
    content = iter([b"A" * 500] * 4)  # sent in pieces, without a length
    response = client.post("/invocations", content=content, headers={"content-type": "application/json", **header})
    assert response.status_code == 413


def test_an_unforeseen_error_gets_500_as_json(
    client: TestClient, family: Blip2Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(family, monkeypatch)  # one question, no answer
    response = client.post("/invocations", json=ONE)
    assert response.status_code == 500
    assert "ValueError" in response.json()["error"]


def test_metrics_are_what_prometheus_reads(client: TestClient) -> None:
    client.post("/invocations", json={"image": IMAGE, "questions": ASKED})
    client.post("/invocations", json={})
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    for line in (
        'lookbook_requests_total{status="200"} 1.0',
        'lookbook_requests_total{status="400"} 1.0',
        "lookbook_request_seconds_count 2.0",
        "lookbook_batch_pictures_sum 1.0",
        "lookbook_batch_questions_sum 2.0",
        "lookbook_answers_total 2.0",
        "lookbook_requests_in_hand 0.0",
        "lookbook_requests_queued 0.0",
    ):
        assert line in response.text


def test_batch_transform_learns_how_to_ask(client: TestClient) -> None:
    parameters = client.get("/execution-parameters").json()
    assert parameters["BatchStrategy"] == "SINGLE_RECORD"
    assert parameters["MaxConcurrentTransforms"] * parameters["MaxPayloadInMB"] <= 100


@pytest.mark.parametrize("name", ["LOOKBOOK_THRESHOLDS", "LOOKBOOK_MAX_SECONDS"])
def test_a_wrong_setting_is_told_before_a_model_is_looked_for(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "no")
    with pytest.raises(JobError, match=name):
        serving.run(Container(tmp_path))


def test_only_the_paths_of_the_contract_exist(client: TestClient) -> None:
    assert client.get("/invocations").status_code == 405
    assert client.get("/").status_code == 404
