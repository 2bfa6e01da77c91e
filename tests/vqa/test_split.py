from __future__ import annotations

from collections import Counter

import pytest

from lookbook.vqa.split import EmptySplitError, check_sides, side_of

HASHES = [f"{number:016x}" for number in range(4000)]


def sides(salt: str = "v1", benchmark_share: float = 0.15, validation_share: float = 0.1) -> list[str]:
    return [side_of(phash, salt, benchmark_share, validation_share) for phash in HASHES]


def test_each_side_gets_about_its_share() -> None:
    shares = Counter(sides())
    assert shares["benchmark"] / len(HASHES) == pytest.approx(0.15, abs=0.02)
    assert shares["validation"] / len(HASHES) == pytest.approx(0.1, abs=0.02)


def test_a_picture_keeps_its_side() -> None:
    assert sides() == sides()
    assert side_of("ffffffffffffffff", "v1", 0.15, 0.1) == "train"  # fixed for good: a change reshuffles every set


def test_a_new_salt_reshuffles() -> None:
    assert sides("v1") != sides("v2")


def test_a_picture_never_leaves_the_benchmark_when_other_shares_change() -> None:
    before, after = sides(validation_share=0.1), sides(validation_share=0.3)
    assert [side == "benchmark" for side in before] == [side == "benchmark" for side in after]


def test_an_empty_side_is_refused_with_the_counts() -> None:
    with pytest.raises(EmptySplitError, match=r"for validation and benchmark \(train 2, validation 0, benchmark 0\)"):
        check_sides(["train", "train"])


def test_a_full_split_passes() -> None:
    check_sides(["train", "validation", "benchmark"])
