"""Two thousand bodies that no client should send: each gets its answer or a reason, and none disturbs another."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from random import Random

import hostile
import httpx
import pytest
from garments import QUESTIONS, draw

from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.requests import MAX_QUESTIONS, Reader, RefusedError
from lookbook_image.serving import Service

CASES = 2000
TOGETHER = 16
SERVED = 96
OWN = tuple(QUESTIONS.values())
GOOD = json.dumps(
    {"image": base64.b64encode(draw("Red", "Sleeveless", Random(0))).decode(), "questions": list(OWN)}
).encode()


@pytest.fixture
def family(lasting_family: Blip2Family) -> Blip2Family:
    return lasting_family


def test_every_body_is_either_a_request_or_refused_with_a_reason(family: Blip2Family) -> None:
    reader, seen = Reader(family.picture_size, OWN, family.reserved), Counter[int]()
    for number in range(CASES):
        media_type, body = hostile.request(Random(number))
        try:
            asked = reader.read(media_type, body)
        except RefusedError as error:
            assert error.status in (400, 413), f"case {number}"
            assert 10 < len(str(error)) < 500, f"case {number}"
            seen[error.status] += 1
        else:
            assert asked.picture.mode == "RGB", f"case {number}"
            assert 1 <= len(asked.questions) <= MAX_QUESTIONS, f"case {number}"
            seen[200] += 1
    assert seen[200] > CASES / 20
    assert seen[400] > CASES / 2
    assert seen[413] > 0


def test_bodies_that_come_together_with_good_ones_change_nothing_for_those(family: Blip2Family) -> None:
    statuses = asyncio.run(served_beside_good_ones(Service(family, "v1", OWN)))
    assert statuses[200] > 0 and statuses[400] > 0 and statuses.keys() <= {200, 400, 413}


async def served_beside_good_ones(service: Service) -> Counter[int]:
    """Send hostile bodies, a batch at a time, each time with a good one among them; return the statuses they got."""
    statuses = Counter[int]()
    transport = httpx.ASGITransport(service.app())  # raises what the application raises
    async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
        expected = await answers(client)
        for start in range(0, SERVED, TOGETHER):
            cases = [hostile.request(Random(number)) for number in range(start, start + TOGETHER)]
            sent = [client.post("/invocations", content=body, headers={"content-type": kind}) for kind, body in cases]
            *given, good = await asyncio.gather(*sent, answers(client))
            statuses.update(response.status_code for response in given)
            assert [one["text"] for one in good] == [one["text"] for one in expected]
            for one, other in zip(good, expected, strict=True):
                assert one["probability"] == pytest.approx(other["probability"], rel=1e-3)
    return statuses


async def answers(client: httpx.AsyncClient) -> list[dict]:
    response = await client.post("/invocations", content=GOOD, headers={"content-type": "application/json"})
    assert response.status_code == 200
    return response.json()["answers"]
