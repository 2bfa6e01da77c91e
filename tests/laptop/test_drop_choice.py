"""Which drop goes in: checked before anything is started."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from laptop.demo import DropChoice, drop_choice, last_monday
from laptop.errors import LaptopError
from lookbook.drops.sample.layout import write_drop


def options(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(**({"drop": None, "limit": None, "date": "2026-11-16", "products": 200} | given))


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    write_drop(tmp_path / "drop", date(2026, 11, 16), 5, 0)
    return tmp_path / "drop"


def test_a_directory_in_kaggles_layout_is_taken(drop: Path) -> None:
    assert drop_choice(options(drop=str(drop), limit=3)) == DropChoice("2026-11-16", drop, 3, 200)


def test_without_a_directory_a_sample_is_drawn(drop: Path) -> None:
    assert drop_choice(options()).directory is None


def test_without_a_date_it_is_the_drop_of_this_week() -> None:
    assert date.fromisoformat(drop_choice(options(date=None)).drop_id).weekday() == 0


@pytest.mark.parametrize(("today", "monday"), [("2026-11-16", "2026-11-16"), ("2026-11-22", "2026-11-16")])
def test_a_week_is_named_by_its_monday(today: str, monday: str) -> None:
    assert last_monday(date.fromisoformat(today)) == date.fromisoformat(monday)


@pytest.mark.parametrize("text", ["2026-11-17", "yesterday", "2026-02-30"])
def test_a_date_that_is_no_monday_is_refused(text: str) -> None:
    with pytest.raises(LaptopError, match=f"DATE={text} names no drop"):
        drop_choice(options(date=text))


def test_a_limit_that_takes_nothing_is_refused() -> None:
    with pytest.raises(LaptopError, match="LIMIT=0"):
        drop_choice(options(limit=0))


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaptopError, match=r"nowhere is no directory.*styles\.csv"):
        drop_choice(options(drop=str(tmp_path / "nowhere")))


def test_a_directory_that_is_no_drop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaptopError, match=r"it has no styles\.csv"):
        drop_choice(options(drop=str(tmp_path)))


def test_a_file_with_other_columns_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "styles.csv").write_text("id,name\n1,shirt\n")

    with pytest.raises(LaptopError, match=r"found id, name; expected id, gender"):
        drop_choice(options(drop=str(tmp_path)))
