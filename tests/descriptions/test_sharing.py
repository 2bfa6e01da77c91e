"""The rate that all who ask at the same time share, through S3."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from tests.descriptions.test_pacing import SETTLED_S, UNTIL_S, Service, side_by_side, with_quota
from tests.descriptions.virtual_time import run

from lookbook.descriptions import sharing
from lookbook.descriptions.pacing import Gate, Rate, TokenBudget
from lookbook.descriptions.sharing import Part, Quota, shared

pytestmark = pytest.mark.usefixtures("aws_server")

UNKNOWN = Quota(None, None, 5.0)
KNOWN = Quota(10.0, 6000.0, 5.0)


class Clock:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sharing, "time", clock)
    return clock


def asker(quota: Quota, share: float = 1.0) -> tuple[Part, Gate]:
    gate = Gate(8, Rate(), TokenBudget(6000 * share, 0.0) if quota.tokens_per_minute else None)
    return Part("model@region", gate, quota, share), gate


def test_a_known_quota_is_divided_by_all_who_ask_of_whatever_run(clock: Clock) -> None:
    askers = [asker(KNOWN) for _ in range(3)]
    for part, _ in [*askers, *askers]:
        part.exchange()
    assert [gate.rate.per_s for _, gate in askers] == [pytest.approx(10 / 3)] * 3
    assert [gate.budget.per_minute for _, gate in askers if gate.budget] == [2000] * 3


def test_until_all_have_come_the_planned_share_is_taken(clock: Clock) -> None:
    part, gate = asker(KNOWN, share=0.25)
    part.exchange()
    assert gate.rate.per_s == 2.5
    clock.now += 11
    part.exchange()
    assert gate.rate.per_s == 10


def test_one_who_comes_later_begins_with_what_the_others_know(clock: Clock) -> None:
    (learned, gate), (later, other) = asker(UNKNOWN), asker(UNKNOWN)
    gate.rate.per_s = 8.0  # after refusals
    learned.exchange()
    later.exchange()
    assert other.rate.per_s == 4.0
    for part in (learned, later) * 10:
        part.exchange()
    assert gate.rate.per_s == pytest.approx(other.rate.per_s, rel=0.05)


def test_a_rate_below_a_known_quota_stays_below_it_when_others_go(clock: Clock) -> None:
    (part, gate), (other, _) = asker(KNOWN), asker(KNOWN)
    for one in (part, other, part):
        one.exchange()
    gate.rate.per_s = 4.0  # of 5, after refusals
    other.exchange(leaving=True)
    part.exchange()
    assert gate.rate.per_s == pytest.approx(8.0)


def test_who_leaves_leaves_what_it_has_learnt_to_the_others(clock: Clock) -> None:
    (leaving, gone), (part, gate) = asker(UNKNOWN), asker(UNKNOWN)
    gone.rate.per_s = gate.rate.per_s = 4.0
    for one in (leaving, part):
        one.exchange()
    leaving.exchange(leaving=True)
    part.exchange()
    assert gate.rate.per_s == 8.0


@pytest.mark.parametrize("shards", [2, 4])
def test_shards_find_an_unknown_quota_and_take_equal_parts_of_it(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    objects: dict[str, Any] = {}

    def update(uri: str, change: Callable[[Any], Any]) -> Any:
        objects[uri] = change(objects.get(uri))
        return objects[uri]

    async def measured() -> Service:
        askers = [asker(UNKNOWN, 1 / shards) for _ in range(shards)]
        exchanging = [asyncio.create_task(exchange_often(part)) for part, _ in askers]
        service = await side_by_side(with_quota(600, burst=60), [gate for _, gate in askers])
        for task in exchanging:
            task.cancel()
        return service

    async def exchange_often(part: Part) -> None:
        while True:
            part.exchange()
            await asyncio.sleep(3)

    monkeypatch.setattr(sharing.storage, "update_json", update)  # virtual time waits for no S3
    monkeypatch.setattr(sharing, "time", SimpleNamespace(time=lambda: asyncio.get_running_loop().time()))
    settled = run(measured()).settled()
    answered = Counter(shard for shard, ok in settled if ok)
    assert answered.total() >= 0.95 * 10 * (UNTIL_S - SETTLED_S)
    assert len(settled) - answered.total() <= 0.03 * len(settled)
    assert all(number == pytest.approx(answered.total() / shards, rel=0.15) for number in answered.values())


def test_who_leaves_a_known_quota_leaves_its_part_to_the_others(clock: Clock) -> None:
    (leaving, _), (part, gate) = asker(KNOWN), asker(KNOWN)
    leaving.exchange()
    part.exchange()
    leaving.exchange(leaving=True)
    part.exchange()
    assert gate.rate.per_s == 10


def test_one_who_was_killed_is_reckoned_with_no_longer_after_a_while(clock: Clock) -> None:
    (killed, _), (part, gate) = asker(KNOWN), asker(KNOWN)
    killed.exchange()
    part.exchange()
    clock.now += 16
    part.exchange()
    assert gate.rate.per_s == 10


def test_what_was_learnt_outlasts_a_shard_but_not_for_ever(clock: Clock) -> None:
    part, gate = asker(UNKNOWN)
    gate.rate.per_s = 8.0
    part.exchange()
    part.exchange(leaving=True)
    clock.now += 60
    later, paced = asker(UNKNOWN)
    later.exchange()
    assert paced.rate.per_s == 8.0
    later.exchange(leaving=True)
    clock.now += 601
    much_later, free = asker(UNKNOWN)
    much_later.exchange()
    assert free.rate.per_s is None


async def test_asking_goes_on_when_s3_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LOOKBOOK_BUCKET", "no-such-bucket")
    sharing.get_settings.cache_clear()
    part, gate = asker(KNOWN)
    async with shared(part):
        assert gate.rate.per_s == 10
    assert "not shared with others" in caplog.text
