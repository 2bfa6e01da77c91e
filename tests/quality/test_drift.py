from __future__ import annotations

import pyarrow as pa
import pytest
from tests.quality.test_validating import DROP_ID, candidate, validate

from lookbook.catalog import tables
from lookbook.catalog.publishing import PRODUCTS
from lookbook.catalog.schemas import CANDIDATES

STATED = {"Fabric": "Cotton", "Fit": "Slim Fit", "Collar": "Mandarin Collar", "Pattern": "Solid"}


def publish(drop_id: str, products: int, **fields: object) -> None:
    rows = [candidate(number, **fields) | {"drop_id": drop_id} for number in range(products)]
    table = pa.Table.from_pylist(rows, schema=CANDIDATES)
    tables.replace(PRODUCTS, table, tables.equals("drop_id", drop_id))


def drifted(warnings: dict[str, int]) -> dict[str, int]:
    return {code: count for code, count in warnings.items() if code.startswith("drift")}


def test_a_first_drop_has_nothing_to_be_compared_with_and_says_so(bucket: str) -> None:
    validation, content = validate(good=200)
    assert content["drift"] == "skipped: no drop has been published before"
    assert drifted(validation.warnings) == {}


def test_a_small_drop_is_not_compared(bucket: str) -> None:
    assert validate(good=20)[1]["drift"].startswith("skipped: the drop has 20 rows, of fewer than 200")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"season": "Winter"}, {}),  # the half of what came before: seasons change
        ({"gender": "Women", "usage": "Formal"}, {"drift_gender": 1, "drift_usage": 1}),
    ],
)
def test_a_drop_unlike_those_before_it_is_warned_of(
    aws_server: str, fields: dict[str, object], expected: dict[str, int]
) -> None:
    publish("2026-11-02", 200, season="Winter")
    publish("2026-11-09", 200)
    publish("2026-11-23", 300, gender="Boys")  # later than the drop: nothing that it is compared with
    validation, content = validate(*([fields] * 200), good=50)
    assert content["drift"] == "compared with 400 products of drops before"
    assert drifted(validation.warnings) == expected


def test_few_products_before_are_not_compared_with(aws_server: str) -> None:
    publish("2026-11-09", 10)
    publish(DROP_ID, 500)
    assert validate(good=200)[1]["drift"].startswith("skipped: the drops before have 10 products")


def test_an_article_type_that_seldom_states_what_it_usually_does_is_warned_of(bucket: str) -> None:
    whole = {"attributes": [*STATED.items(), ("Sleeve Length", "Long Sleeves")]}
    without_sleeves = {"attributes": list(STATED.items())}
    assert "low_coverage" not in validate(*([whole] * 50), *([without_sleeves] * 20), good=0)[0].warnings
    assert validate(*([whole] * 20), *([without_sleeves] * 50), good=0)[0].warnings["low_coverage"] == 50
    assert "low_coverage" not in validate(*([without_sleeves] * 30), good=0)[0].warnings


def test_products_for_children_that_are_labelled_men_or_women_are_warned_of(bucket: str) -> None:
    kids = [{"age_group": "Kids-Boys", "gender": "Men"}, {"age_group": "Kids-Unisex", "gender": "Unisex"}]
    assert validate(*kids, good=20)[0].warnings == {"kids_labelled_adults": 1}


def test_pictures_that_look_the_same_are_warned_of(bucket: str) -> None:
    alike = [{"picture_phash": "00ff00ff00ff00ff"}] * 3
    assert validate(*alike, good=20)[0].warnings == {"alike_picture": 2}
