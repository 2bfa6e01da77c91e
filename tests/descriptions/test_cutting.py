"""How a run's work is cut."""

from __future__ import annotations

import pytest

from lookbook.descriptions import cutting
from lookbook.descriptions.cutting import AskedMode, Mode
from lookbook.descriptions.work import Todo
from lookbook.errors import PermanentError
from lookbook.settings import get_settings


def work(products: int) -> list[Todo]:
    return [Todo(f"product {number}", f"s3://lookbook/descriptions/{number}.json", b"{}") for number in range(products)]


@pytest.mark.parametrize(
    ("asked", "products", "batch_from", "mode"),
    [
        ("auto", 200, None, "per_product"),
        ("auto", 201, None, "sharded"),
        ("auto", 44_000, None, "sharded"),
        ("auto", 499, "500", "sharded"),
        ("auto", 500, "500", "batch"),
        ("sharded", 1, None, "sharded"),
        ("per_product", 1000, None, "per_product"),
        ("batch", 100, None, "batch"),
        ("batch", 99, None, "per_product"),
    ],
)
def test_the_mode_is_the_one_asked_for_or_goes_by_the_number_of_products(
    monkeypatch: pytest.MonkeyPatch, asked: AskedMode, products: int, batch_from: str | None, mode: Mode
) -> None:
    if batch_from:
        monkeypatch.setenv("LOOKBOOK_BATCH_FROM", batch_from)
    get_settings.cache_clear()
    assert cutting.mode_of(asked, products) == mode


def test_a_map_wider_than_airflow_can_take_is_refused() -> None:
    with pytest.raises(PermanentError, match="1001 products is more than Airflow maps"):
        cutting.mode_of("per_product", 1001)


@pytest.mark.parametrize(
    ("mode", "products", "sizes"),
    [
        ("per_product", 3, {1: 3}),
        ("sharded", 0, {}),
        ("sharded", 500, {500: 1}),
        ("sharded", 1_300, {434: 1, 433: 2}),
        ("sharded", 600_000, {600: 1000}),
        ("batch", 10_001, {5001: 1, 5000: 1}),
    ],
)
def test_groups_are_of_nearly_the_same_size_and_never_too_many(
    mode: Mode, products: int, sizes: dict[int, int]
) -> None:
    todo = work(products)
    groups = cutting.cut(todo, mode)
    found = [len(group) for group in groups]
    assert {size: found.count(size) for size in found} == sizes
    assert [one for group in groups for one in group] == todo


def test_a_task_of_one_product_bears_its_name() -> None:
    groups = cutting.cut(work(2), "per_product")
    assert cutting.names_of(groups, "per_product") == ["product 0", "product 1"]
    assert cutting.names_of(groups, "sharded") == ["shard 1 of 2 (1 products)", "shard 2 of 2 (1 products)"]


@pytest.mark.parametrize(
    ("products", "sizes"),
    [(5_000, [416, 417]), (1_001, [250, 251]), (300, [75]), (120, [60]), (99, [99]), (3, [3])],
)
def test_every_task_that_runs_side_by_side_gets_as_much_unless_it_were_very_little(
    products: int, sizes: list[int]
) -> None:
    groups = cutting.cut(work(products), "sharded", side_by_side=4)
    assert sorted({len(group) for group in groups}) == sizes
    assert sum(map(len, groups)) == products
