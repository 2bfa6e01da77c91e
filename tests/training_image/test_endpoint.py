"""A serving process under bad input and at its end: what it refuses, what that costs, how it stops."""

from __future__ import annotations

import base64
import io
import json
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import httpx
import pytest
from conftest import BASE
from endpoints import TIMEOUT, Endpoint, serving
from garments import QUESTIONS, draw
from PIL import Image

PICTURE = draw("Blue", "Long Sleeves", Random(9))
IMAGE = base64.b64encode(PICTURE).decode()
GOOD = json.dumps({"image": IMAGE, "questions": list(QUESTIONS.values())}).encode()
LARGE = json.dumps({"image": IMAGE, "questions": list(QUESTIONS.values()) * 32}).encode()
JSON = "application/json"


def asked(**request: object) -> bytes:
    return json.dumps(request).encode()


def huge_png() -> bytes:
    """A real PNG of 500 megapixels, which compress well."""
    file = io.BytesIO()
    Image.new("1", (25_000, 20_000)).save(file, "PNG")
    return file.getvalue()


def animation(kind: str) -> bytes:
    file = io.BytesIO()
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue", "green")]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


BAD = {
    "no picture": (asked(image=base64.b64encode(b"hello").decode(), prompt="?"), JSON, 400, "not a readable picture"),
    "a picture of 500 megapixels": (huge_png(), "image/png", 413, "more than 50000000 pixels"),
    "a JPEG that is cut off": (PICTURE[:1000], "image/jpeg", 400, "not a readable picture"),
    "an animated GIF": (animation("GIF"), "application/x-image", 400, "none of JPEG, PNG, WEBP"),
    "nothing": (b"", JSON, 400, "the body isn't JSON"),
    "no picture at all": (b"", "application/x-image", 400, "not a readable picture"),
    "50 MB": (b"[" * 50_000_000, JSON, 413, "more than 26214400 bytes"),
    "25 MB of lists": (b"[[]" + b",[]" * 8_000_000 + b"]", JSON, 400, "more than 100000 values"),
    "no image": (asked(prompt="What is the fit?"), JSON, 400, "'image' must be a picture file in base64"),
    "1,000 questions": (asked(image=IMAGE, questions=["What is the fit?"] * 1000), JSON, 400, "1000 questions"),
    "numbers": (asked(image=1, questions=[2]), JSON, 400, "every question must be text"),
    "a list": (asked(image=["x"], prompt="?"), JSON, 400, "'image' must be a picture file in base64"),
    "CSV": (b"a,b", "text/csv", 415, "send application/json"),
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    base = tmp_path_factory.mktemp("serve")
    shutil.copytree(BASE, base / "model" / "merged")
    (base / "model" / "report.json").write_text(json.dumps({"questions": QUESTIONS}))
    with serving(base) as served:
        yield served


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_reason_and_the_next_good_request_works(endpoint: Endpoint, case: str) -> None:
    body, media_type, status, reason = BAD[case]
    response = endpoint.post(body, media_type)
    assert response.status_code == status
    assert reason in response.json()["error"]
    assert endpoint.post(GOOD).status_code == 200


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animated_picture_is_answered_by_its_first_frame(endpoint: Endpoint, kind: str) -> None:
    assert endpoint.post(animation(kind), "application/x-image").status_code == 200


def test_a_cmyk_jpeg_is_answered(endpoint: Endpoint) -> None:
    file = io.BytesIO()
    Image.open(io.BytesIO(PICTURE)).convert("CMYK").save(file, "JPEG")
    assert endpoint.post(file.getvalue(), "image/jpeg").status_code == 200


def test_bad_input_leaves_no_memory_behind(endpoint: Endpoint) -> None:
    def bad_and_good() -> None:
        with ThreadPoolExecutor(8) as callers:
            bad = list(callers.map(lambda case: endpoint.post(*BAD[case][:2]).status_code, BAD))
        assert bad == [status for _, _, status, _ in BAD.values()]
        assert endpoint.post(GOOD).status_code == 200

    bad_and_good()
    before = endpoint.peak_memory()
    for _ in range(2):
        bad_and_good()
    assert endpoint.peak_memory() - before < 100, "MiB more than the same input took before"


def test_sigterm_lets_requests_in_hand_finish_and_takes_no_new_ones(endpoint: Endpoint) -> None:
    with ThreadPoolExecutor(8) as callers:
        requests = [callers.submit(endpoint.post, LARGE) for _ in range(8)]
        while (in_hand := endpoint.metric("lookbook_requests_in_hand")) < 4:
            assert not all(request.done() for request in requests)
        endpoint.terminate()
        while endpoint.is_open():
            assert endpoint.process.poll() is None
    errors = [error for request in requests if (error := request.exception(TIMEOUT))]
    assert all(isinstance(error, httpx.TransportError) for error in errors), "came later, and were not let in"
    assert {request.result().status_code for request in requests if not request.exception()} == {200}
    assert len(requests) - len(errors) >= in_hand
    assert endpoint.process.wait(TIMEOUT) in (0, -signal.SIGTERM)
