"""How many calls a second: in virtual time, against services that refuse as Bedrock does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.descriptions.virtual_time import run

from local_aws.bedrock.quota import Bucket
from lookbook.descriptions.pacing import Gate, Rate, TokenBudget, TurnedAwayError

LATENCY_S = 0.2
SETTLED_S, UNTIL_S = 10.0, 90.0


@dataclass
class Service:
    """Answers a call after a while, or refuses it at once."""

    lets_through: Callable[[], bool]
    calls: list[tuple[float, int, bool]] = field(default_factory=list)

    async def call(self, shard: int, gate: Gate, order: int) -> bool:
        place = await gate.enter(order, 0)
        await asyncio.sleep(0.005)
        answered = self.lets_through()
        self.calls.append((asyncio.get_running_loop().time(), shard, answered))
        if not answered:
            place.refused()
            return False
        await asyncio.sleep(LATENCY_S)
        place.leave(0)
        return True

    def settled(self) -> list[tuple[int, bool]]:
        """The calls after the first ten seconds: whose, and whether answered."""
        return [(shard, answered) for at, shard, answered in self.calls if SETTLED_S <= at < UNTIL_S]


async def side_by_side(service: Service, gates: list[Gate], each: int = 60) -> Service:
    """Have shards call until the time is over, each on behalf of ``each`` products that back off when refused."""
    draws, now = random.Random(1), asyncio.get_running_loop().time

    async def product(shard: int, order: int) -> None:
        refusals = 0
        while now() < UNTIL_S:
            refusals = 0 if await service.call(shard, gates[shard], order) else refusals + 1
            await asyncio.sleep(draws.uniform(0, min(20, 0.5 * 2**refusals)) if refusals else 0)

    async with asyncio.TaskGroup() as group:
        for shard in range(len(gates)):
            for order in range(each):
                group.create_task(product(shard, order))
    return service


def with_quota(per_minute: float, *, burst: float) -> Service:
    bucket = Bucket(per_minute, asyncio.get_running_loop().time)
    bucket.take(per_minute - burst)

    def lets_through() -> bool:
        if not bucket.has(1):
            return False
        bucket.take(1)
        return True

    return Service(lets_through)


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_an_unknown_quota_is_found_and_shared_by_all_shards(shards: int) -> None:
    async def measured() -> Service:
        gates = [Gate(8, Rate(floor=5 / shards)) for _ in range(shards)]
        return await side_by_side(with_quota(600, burst=60), gates)

    settled = run(measured()).settled()
    answered = sum(ok for _, ok in settled)
    assert answered >= 0.95 * 10 * (UNTIL_S - SETTLED_S)
    assert len(settled) - answered <= 0.03 * len(settled)


def test_a_full_bucket_is_used_up_and_then_the_quota_found() -> None:
    async def measured() -> Service:
        return await side_by_side(with_quota(600, burst=600), [Gate(8, Rate(floor=5 / 4)) for _ in range(4)])

    settled = run(measured()).settled()
    answered = sum(ok for _, ok in settled)
    assert answered >= 0.95 * 10 * (UNTIL_S - SETTLED_S)
    assert len(settled) - answered <= 0.03 * len(settled)


def test_a_known_quota_is_used_without_a_refusal_and_in_equal_shares() -> None:
    async def measured() -> Service:
        return await side_by_side(with_quota(600, burst=60), [Gate(8, Rate(2.5, ceiling=2.5)) for _ in range(4)])

    service = run(measured())
    assert all(answered for *_, answered in service.calls)
    each = Counter(shard for shard, _ in service.settled())
    assert all(number == pytest.approx(2.5 * (UNTIL_S - SETTLED_S), rel=0.02) for number in each.values())


def test_without_refusals_nothing_is_held_back() -> None:
    async def measured() -> Service:
        return await side_by_side(Service(lambda: True), [Gate(8, Rate())])

    calls = len(run(measured()).calls)
    assert calls == pytest.approx(UNTIL_S * 8 / (LATENCY_S + 0.005), rel=0.02)


def test_a_service_that_refuses_however_slowly_it_is_called_is_still_called() -> None:
    draws = random.Random(3)

    async def measured() -> Service:
        return await side_by_side(Service(lambda: draws.random() < 0.5), [Gate(8, Rate(floor=5.0))])

    settled = run(measured()).settled()
    assert len(settled) >= 0.9 * 5.0 * (UNTIL_S - SETTLED_S)


def test_a_rate_recovers_after_others_have_gone() -> None:
    async def measured() -> float:
        gates = [Gate(8, Rate(floor=0.1)) for _ in range(2)]
        service, loop = with_quota(600, burst=10), asyncio.get_running_loop()
        other = asyncio.create_task(side_by_side(service, [gates[1]]))
        mine = asyncio.create_task(side_by_side(service, [gates[0]]))
        await asyncio.sleep(30)
        before = gates[0].rate.per_s or 0.0
        other.cancel()
        await asyncio.wait([other])
        await mine
        assert loop.time() >= UNTIL_S
        return (gates[0].rate.per_s or 0.0) / before

    assert run(measured()) > 1.2


def test_nobody_passes_before_the_service_wants_calls_again() -> None:
    async def measured() -> float:
        gate = Gate(8, Rate())
        (await gate.enter(0, 0)).refused(retry_after_s=7.0)
        await gate.enter(1, 0)
        return asyncio.get_running_loop().time()

    assert run(measured()) == 7.0


def test_who_waits_holds_no_place_and_the_earliest_passes_first() -> None:
    async def passed() -> list[int]:
        gate, order = Gate(1, Rate(per_s=1.0)), list[int]()

        async def one(number: int) -> None:
            place = await gate.enter(number, 0)
            order.append(number)
            place.leave(0)

        first = await gate.enter(9, 0)
        waiting = [asyncio.create_task(one(number)) for number in (3, 1, 2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        first.leave(0)
        await asyncio.wait(waiting)
        await asyncio.wait_for(one(0), timeout=2)
        return order

    assert run(passed()) == [1, 2, 0]


def test_a_place_given_to_one_who_was_cancelled_is_free_again() -> None:
    async def passed() -> bool:
        gate = Gate(1, Rate())
        first = await gate.enter(0, 0)
        waiting = asyncio.create_task(gate.enter(1, 0))
        await asyncio.sleep(0)
        first.leave(0)  # gives the place on
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.wait_for(gate.enter(2, 0), timeout=1)
        return True

    assert run(passed())


def test_whoever_waits_can_be_sent_away() -> None:
    async def passed() -> None:
        gate = Gate(1, Rate())
        await gate.enter(0, 0)
        waiting = asyncio.create_task(gate.enter(1, 0))
        await asyncio.sleep(0)
        gate.turn_away()
        with pytest.raises(TurnedAwayError):
            await waiting

    run(passed())


def test_tokens_are_reserved_when_a_call_starts_and_given_back_when_it_ends() -> None:
    async def times() -> list[float]:
        loop, passed = asyncio.get_running_loop(), list[float]()
        gate = Gate(8, Rate(), TokenBudget(6000, loop.time()))
        places = []
        for number in range(6):
            places.append(await gate.enter(number, 1000))
            passed.append(loop.time())
        waiting = asyncio.create_task(gate.enter(6, 1000))
        await asyncio.sleep(1)  # 100 tokens have come back
        for place in places[:1]:
            place.leave(100)  # and 900 more
        await waiting
        return [*passed, loop.time()]

    assert run(times()) == [0, 0, 0, 0, 0, 0, 1]


def test_a_call_larger_than_a_minutes_tokens_passes_when_the_bucket_is_full() -> None:
    async def passed() -> float:
        loop = asyncio.get_running_loop()
        gate = Gate(8, Rate(), TokenBudget(600, loop.time()))
        await gate.enter(0, 300)
        await gate.enter(1, 5000)
        return loop.time()

    assert run(passed()) == pytest.approx(30.0)
