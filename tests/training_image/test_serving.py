from __future__ import annotations

import base64
from random import Random

import pytest
from garments import QUESTIONS, draw
from starlette.testclient import TestClient

from lookbook_image import serving
from lookbook_image.families.base import Generated
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.serving import Service

IMAGE = base64.b64encode(draw("Red", "Sleeveless", Random(0))).decode()


@pytest.fixture
def client(family: Blip2Family) -> TestClient:
    return TestClient(Service(family, "v7").app(), raise_server_exceptions=False)


def answering(family: Blip2Family, monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    """Let the model say ``texts``: what an untrained one says is of no use here."""
    monkeypatch.setattr(family, "generate", lambda features, prompts: [Generated(text, 0.5) for text in texts])


def test_ping_says_that_the_model_is_there(client: TestClient) -> None:
    assert client.get("/ping").status_code == 200


def test_a_prompt_is_answered_as_attribute_and_value(
    client: TestClient, family: Blip2Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(family, monkeypatch, "Sleeve Length: Long Sleeves")
    response = client.post("/invocations", json={"image": IMAGE, "prompt": QUESTIONS["Sleeve Length"]})
    assert response.json() == {"Sleeve Length": "Long Sleeves"}


def test_questions_are_answered_together_with_probabilities_and_version(
    client: TestClient, family: Blip2Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(family, monkeypatch, "Sleeve Length: Long Sleeves", "Red")
    questions = list(QUESTIONS.values())
    response = client.post("/invocations", json={"image": IMAGE, "questions": questions})
    assert response.json() == {
        "answers": [
            {
                "question": questions[0],
                "attribute": "Sleeve Length",
                "value": "Long Sleeves",
                "probability": 0.5,
                "text": "Sleeve Length: Long Sleeves",
            },
            {"question": questions[1], "attribute": None, "value": None, "probability": 0.5, "text": "Red"},
        ],
        "model_version": "v7",
    }


def test_an_answer_in_another_form_is_passed_on_as_text(
    client: TestClient, family: Blip2Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(family, monkeypatch, "Red")
    response = client.post("/invocations", json={"image": IMAGE, "prompt": QUESTIONS["baseColour"]})
    assert response.json() == {"text": "Red"}


def test_together_and_alone_questions_get_the_same_answers(client: TestClient) -> None:
    questions = list(QUESTIONS.values())
    together = client.post("/invocations", json={"image": IMAGE, "questions": questions}).json()["answers"]
    for question, answer in zip(questions, together, strict=True):
        alone = client.post("/invocations", json={"image": IMAGE, "questions": [question]}).json()["answers"][0]
        assert alone["text"] == answer["text"]
        assert alone["probability"] == pytest.approx(answer["probability"], rel=1e-3)
        assert 0 <= alone["probability"] <= 1


def test_a_bad_request_gets_a_reason(client: TestClient) -> None:
    response = client.post("/invocations", json={"image": IMAGE})
    assert response.status_code == 400
    assert "either 'prompt'" in response.json()["error"]


def test_another_content_type_gets_415(client: TestClient) -> None:
    response = client.post("/invocations", content=b"\xff\xd8", headers={"content-type": "image/jpeg"})
    assert response.status_code == 415
    assert "send application/json" in response.json()["error"]


def test_a_body_that_is_too_large_gets_413(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_BODY_BYTES", 1000)
    response = client.post("/invocations", json={"image": "A" * 2000, "prompt": "?"})
    assert response.status_code == 413


def test_an_unforeseen_error_gets_500_as_json(
    client: TestClient, family: Blip2Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(family, monkeypatch)  # one question, no answer
    response = client.post("/invocations", json={"image": IMAGE, "prompt": "?"})
    assert response.status_code == 500
    assert "ValueError" in response.json()["error"]


def test_only_the_two_paths_exist(client: TestClient) -> None:
    assert client.get("/invocations").status_code == 405
    assert client.get("/").status_code == 404
