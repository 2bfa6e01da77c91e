"""How many times more pictures a second eight questions in one request bring than eight requests of one question each.

Same container, same model, the same eight clients, pictures as large as a shop's originals. A reference-style request
is the reference's: a picture and one question. The figure is against such requests of the very same container, in which
those that wait share batches; beside it stands the ratio to a container that takes requests one at a time, as the
reference's server does (``LOOKBOOK_MAX_BATCH_QUESTIONS=1``). What is measured takes turns, so that whatever else the
machine does falls on all alike.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from PIL import Image

from benchmarks import Figure
from benchmarks._image import serving, train
from benchmarks._sides import write_sides
from lookbook.drops.sample.layout import write_drop
from lookbook.vqa.questions import QUESTIONS

GOAL = 6.0
CONCURRENCY = 8
QUESTIONS_EACH = 8
ORIGINAL = (1080, 1440)  # pixels
ROUNDS = 5
PICTURES = 48
"""A round of requests with all questions; those with one are fewer pictures, for about the same time."""
SHARE_ALONE = 6
_PRODUCTS = 160


def run(data: Path | None) -> Figure:
    """Train a small model on drawn products, or on some of ``data``, serve it and ask it both ways."""
    with tempfile.TemporaryDirectory(prefix="lookbook-attributes-rate-") as directory:
        scratch = Path(directory)
        drop = data or _drawn(scratch / "drop")
        write_sides(drop, scratch / "sides", {"train": 0.8, "validation": 0.2}, limit=_PRODUCTS)
        train(scratch / "job", scratch / "sides", epochs="3", patience="0")
        model = scratch / "job" / "model"
        pictures = [_original(path) for path in sorted((drop / "images").iterdir())[:PICTURES]]
        with (
            serving(scratch / "deployed", model, 18_080) as deployed,
            serving(scratch / "one", model, 18_090, LOOKBOOK_MAX_BATCH_QUESTIONS="1") as one_at_a_time,
        ):
            seconds = _measure(pictures, deployed, one_at_a_time)
    return _figure(seconds, len(pictures))


def _drawn(directory: Path) -> Path:
    write_drop(directory, date(2026, 11, 16), _PRODUCTS, seed=22, plain=True)
    return directory


def _original(path: Path) -> bytes:
    """Return a picture in the size in which Kaggle's catalogue has its originals."""
    sink = io.BytesIO()
    Image.open(path).convert("RGB").resize(ORIGINAL).save(sink, "JPEG", quality=90)
    return sink.getvalue()


class _Times:
    """What some rounds of one way of asking took."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.latencies: list[float] = []

    def detail(self) -> dict[str, float]:
        """Return pictures a second and the latency of a request in milliseconds."""
        cuts = statistics.quantiles(self.latencies, n=100)
        milliseconds = {"p50_ms": round(cuts[49] * 1000, 1), "p99_ms": round(cuts[98] * 1000, 1)}
        return {"pictures_per_second": round(statistics.median(self.rates), 2), **milliseconds}


def _measure(pictures: Sequence[bytes], deployed: int, one_at_a_time: int) -> dict[str, _Times]:
    questions = list(QUESTIONS.values())[:QUESTIONS_EACH]
    few = pictures[: max(len(pictures) // SHARE_ALONE, 1)]
    together = [_body(picture, questions=questions) for picture in pictures]
    alone = [_body(picture, prompt=question) for picture in few for question in questions]
    ways = {
        "eight_questions": (deployed, together, len(pictures)),
        "one_question": (deployed, alone, len(few)),
        "one_at_a_time": (one_at_a_time, alone, len(few)),
    }
    times = {name: _Times() for name in ways}
    for port, bodies, _ in ways.values():
        _ask(port, bodies[:CONCURRENCY])
    for _ in range(ROUNDS):
        for name, (port, bodies, number) in ways.items():
            started = time.perf_counter()
            times[name].latencies += _ask(port, bodies)
            times[name].rates.append(number / (time.perf_counter() - started))
    return times


def _body(picture: bytes, **asked: object) -> bytes:
    return json.dumps({"image": base64.b64encode(picture).decode(), **asked}).encode()


def _ask(port: int, bodies: Sequence[bytes]) -> list[float]:
    """Send every body, CONCURRENCY at a time, each client over one connection, and return the latencies in seconds."""
    waiting, latencies, problems = iter(bodies), list[float](), list[str]()
    lock = threading.Lock()

    def client() -> None:
        try:
            latencies.extend(_latencies(port, waiting, lock))
        except (OSError, http.client.HTTPException, ValueError) as error:
            problems.append(f"{type(error).__name__}: {error}")

    clients = [threading.Thread(target=client) for _ in range(CONCURRENCY)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    if problems:
        raise SystemExit(f"A request failed: {problems[0]}")
    return latencies


def _latencies(port: int, waiting: Iterator[bytes], lock: threading.Lock) -> Iterator[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while True:
        with lock:
            body = next(waiting, None)
        if body is None:
            return connection.close()
        started = time.perf_counter()
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        yield time.perf_counter() - started
        if response.status != 200:
            raise ValueError(f"{response.status} {answer[:200]!r}")


def _figure(times: dict[str, _Times], pictures: int) -> Figure:
    ratios = {
        name: statistics.median(
            ours / theirs for ours, theirs in zip(times["eight_questions"].rates, times[name].rates, strict=True)
        )
        for name in ("one_question", "one_at_a_time")
    }
    value = round(ratios["one_question"], 2)
    detail = {
        "ratio_to_one_at_a_time": round(ratios["one_at_a_time"], 2),
        **{name: one.detail() for name, one in times.items()},
        "concurrency": CONCURRENCY,
        "pictures": pictures,
        "rounds": ROUNDS,
    }
    unit = "times the pictures a second of reference-style requests"
    return Figure("attributes_rate", value, unit, f">= {GOAL:g}", value >= GOAL, detail)
