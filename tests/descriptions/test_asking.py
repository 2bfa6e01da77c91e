"""Asking on behalf of many: deadlines, calls that hang, routes that fail, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.descriptions.virtual_time import run

from lookbook.descriptions.asking import Asking, Backoff, Turn, asking
from lookbook.descriptions.pacing import Gate, Rate
from lookbook.descriptions.routes import Breaker, Patience, Route, Target, targets
from lookbook.errors import PermanentError, RetryableError
from lookbook.settings import get_settings

FIRST, SECOND = Target("first-model", "us-east-1"), Target("second-model", "eu-west-1")
REQUEST = {"messages": [], "inferenceConfig": {"maxTokens": 100}}

Behaviour = Callable[[], Awaitable[None]]


class Client:
    """A Bedrock client that does as it is told, and counts."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour, self.called_at = behaviour, list[float]()

    @property
    def calls(self) -> int:
        return len(self.called_at)

    async def converse(self, **request: Any) -> dict[str, Any]:
        self.called_at.append(now())
        await self.behaviour()
        return {
            "output": {"message": {"role": "assistant", "content": [{"text": request["modelId"]}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
            "ResponseMetadata": {"RequestId": "1"},
        }


def fails(code: str, status: int) -> Behaviour:
    async def behaviour() -> None:
        await asyncio.sleep(0.01)
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(error, "Converse")

    return behaviour


def answers(within_s: float = 0.2) -> Behaviour:
    return lambda: asyncio.sleep(within_s)


def until(at_s: float, first: Behaviour, then: Behaviour) -> Behaviour:
    async def behaviour() -> None:
        await (first() if asyncio.get_running_loop().time() < at_s else then())

    return behaviour


def open_routes(*behaviours: Behaviour, deadline_s: float = 300.0, most: int = 8) -> Asking:
    routes: list[Route] = []
    asked = Asking(routes, Backoff(deadline_s=deadline_s))
    for target, behaviour in zip((FIRST, SECOND), behaviours, strict=False):
        breaker = Breaker(str(target), asked.look_again)
        routes.append(Route(target, Client(behaviour), Gate(most, Rate(floor=5.0)), breaker, Patience(60.0)))
    return asked


async def ask_all(asked_of: Asking, number: int) -> list[Turn | Exception]:
    """Ask about so many products; return who answered, or what was raised instead."""

    async def one(order: int) -> Turn | Exception:
        turn = asked_of.turn(order)
        try:
            await asked_of.ask(REQUEST, turn)
        except (PermanentError, RetryableError) as error:
            return error
        return turn

    return await asyncio.gather(*(one(order) for order in range(number)))


def writers(outcomes: list[Turn | Exception]) -> list[Target]:
    return [outcome.answered[-1].target for outcome in outcomes if isinstance(outcome, Turn)]


def test_calls_that_hang_cost_seconds_once_it_is_known_how_long_calls_take() -> None:
    draws = random.Random(5)

    async def sometimes_hangs() -> None:
        await asyncio.sleep(3600 if draws.random() < 0.05 else 0.2)

    async def took() -> float:
        asked_of = open_routes(sometimes_hangs)
        assert len(writers(await ask_all(asked_of, 400))) == 400
        return asyncio.get_running_loop().time()

    assert run(took()) < 4 * 400 * 0.2 / 8


def test_a_slow_model_is_not_taken_for_one_that_hangs() -> None:
    draws = random.Random(5)

    async def slow() -> None:
        await asyncio.sleep(draws.uniform(4, 16))

    async def asked() -> int:
        asked_of = open_routes(slow)
        await ask_all(asked_of, 100)
        calls: int = asked_of.routes[0].client.calls
        return calls

    assert run(asked()) == 100


def test_a_products_time_bounds_all_its_attempts() -> None:
    async def asked() -> tuple[list[Turn | Exception], float]:
        return await ask_all(open_routes(fails("ThrottlingException", 429), deadline_s=40), 3), now()

    outcomes, ended = run(asked())
    assert all(isinstance(outcome, RetryableError) for outcome in outcomes)
    assert ended <= 41


def test_a_product_that_waits_for_its_first_call_loses_no_time() -> None:
    async def asked() -> int:
        return len(writers(await ask_all(open_routes(answers(2.0), deadline_s=3.0, most=1), 20)))

    assert run(asked()) == 20


def test_a_call_in_flight_ends_with_the_products_time() -> None:
    async def asked() -> float:
        await ask_all(open_routes(answers(50.0), deadline_s=12), 1)
        return now()

    assert run(asked()) == pytest.approx(12, abs=0.1)


def test_a_fault_of_one_product_is_not_asked_about_for_ever() -> None:
    async def asked() -> int:
        asked_of = open_routes(fails("ModelErrorException", 424))
        await ask_all(asked_of, 1)
        calls: int = asked_of.routes[0].client.calls
        return calls

    assert run(asked()) == Backoff().attempts


def test_while_the_first_route_is_throttled_the_second_writes() -> None:
    async def asked() -> list[Target]:
        return writers(await ask_all(open_routes(fails("ThrottlingException", 429), answers()), 100))

    assert run(asked()) == [SECOND] * 100


def test_the_first_route_writes_again_when_it_is_back() -> None:
    async def asked() -> list[Target]:
        asked_of = open_routes(until(30, fails("ServiceUnavailableException", 503), answers(1.0)), answers(1.0), most=2)
        return writers(await ask_all(asked_of, 200))

    written = run(asked())
    assert len(written) == 200
    assert written[-1] == FIRST
    assert 20 < written.count(SECOND) < 120


def test_a_few_failures_are_no_reason_to_leave_a_route() -> None:
    draws = random.Random(2)

    async def faulty() -> None:
        await asyncio.sleep(0.2)
        if draws.random() < 0.5:
            await fails("InternalServerException", 500)()

    async def asked() -> list[Target]:
        return writers(await ask_all(open_routes(faulty, answers()), 100))

    assert set(run(asked())) == {FIRST}


def test_one_call_at_a_time_tries_a_route_that_is_down() -> None:
    async def asked() -> list[float]:
        asked_of = open_routes(fails("ServiceUnavailableException", 503), deadline_s=120)
        await ask_all(asked_of, 50)
        return [at for at in asked_of.routes[0].client.called_at if at > 6]  # when it has been left

    assert len(run(asked())) == 4  # after 5, 10, 20 and 40 s more


def test_with_all_routes_down_nobody_waits_longer_than_a_products_time() -> None:
    async def asked() -> float:
        down = fails("ServiceUnavailableException", 503)
        outcomes = await ask_all(open_routes(down, down, deadline_s=60), 50)
        assert all(isinstance(outcome, RetryableError) for outcome in outcomes)
        return now()

    assert run(asked()) < 80


def test_a_fallback_that_the_account_may_not_use_is_left_and_fails_nobody() -> None:
    async def asked() -> list[Target]:
        first = until(20, fails("ThrottlingException", 429), answers())
        return writers(await ask_all(open_routes(first, fails("AccessDeniedException", 403)), 20))

    assert run(asked()) == [FIRST] * 20


def test_a_refused_request_is_asked_once_and_goes_nowhere_else() -> None:
    async def asked() -> tuple[list[Turn | Exception], int, int]:
        asked_of = open_routes(fails("ValidationException", 400), answers())
        outcomes = await ask_all(asked_of, 20)
        return outcomes, asked_of.routes[0].client.calls, asked_of.routes[1].client.calls

    outcomes, first, second = run(asked())
    assert all(isinstance(outcome, PermanentError) for outcome in outcomes)
    assert (first, second) == (20, 0)


def test_the_fallbacks_are_models_and_regions_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_TEXT_FALLBACKS", '["@eu-west-1", "other-model@", "arn:aws:bedrock:x@y@eu-west-3"]')
    get_settings.cache_clear()
    assert [str(target) for target in targets("a-model")] == [
        "a-model@us-east-1",
        "a-model@eu-west-1",
        "other-model@us-east-1",
        "arn:aws:bedrock:x@y@eu-west-3",
    ]


@pytest.mark.parametrize("named", ["@", "a-model"])
def test_a_fallback_that_names_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("LOOKBOOK_TEXT_FALLBACKS", f'["{named}"]')
    get_settings.cache_clear()
    with pytest.raises(PermanentError, match="LOOKBOOK_TEXT_FALLBACKS"):
        targets("a-model")


async def test_each_region_has_a_client_and_the_quotas_are_the_text_models_in_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOOKBOOK_BEDROCK_RPM", "600")
    monkeypatch.setenv("LOOKBOOK_BEDROCK_TPM", "8000")
    monkeypatch.setenv("LOOKBOOK_TEXT_FALLBACKS", '["@eu-west-1"]')
    get_settings.cache_clear()
    async with asking(get_settings().text_model_id, share=0.25, alone=True) as asked:
        first, fallback = (route.gate for route in asked.routes)
        assert [route.client.meta.region_name for route in asked.routes] == ["us-east-1", "eu-west-1"]
    async with asking("a-judge", share=0.25, alone=True) as asked:
        judge = asked.routes[0].gate
    assert first.budget is not None
    assert (first.rate.per_s, first.rate.ceiling, first.budget.per_minute) == (2.5, 2.5, 2000)
    assert [(gate.rate.per_s, gate.budget) for gate in (fallback, judge)] == [(None, None)] * 2


def now() -> float:
    return asyncio.get_running_loop().time()
