"""The rate that all who ask at the same time share, through S3."""

from __future__ import annotations

import pytest

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
    part = Part("model@region", gate, quota, share)
    part.take(round(1 / share), quota.calls_per_s)
    return part, gate


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


def test_what_one_has_learnt_the_others_know(clock: Clock) -> None:
    (learned, gate), (part, other) = asker(UNKNOWN), asker(UNKNOWN)
    learned.exchange()
    part.exchange()
    gate.rate.per_s = 8.0  # after refusals
    learned.exchange()
    part.exchange()
    assert (gate.rate.per_s, other.rate.per_s) == (8.0, 8.0)


def test_a_change_of_ones_own_rate_is_added_to_what_all_share(clock: Clock) -> None:
    askers = [asker(KNOWN) for _ in range(2)]
    for part, _ in [*askers, *askers]:
        part.exchange()
    askers[0][1].rate.per_s = 4.0  # 1 less, after refusals
    for part, _ in askers:
        part.exchange()
    assert askers[1][1].rate.per_s == 4.5


def test_who_leaves_leaves_its_part_to_the_others(clock: Clock) -> None:
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
