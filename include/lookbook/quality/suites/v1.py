"""Suite v1: what a drop and each of its rows must be.

Each expectation says in its ``meta`` how severe a failure is (``severity``), which reason code it gives (``code``, or
``code_from`` for the codes that the column itself holds), and what that means (``says``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.row_conditions import Column

from lookbook.drops import vocabulary
from lookbook.drops.vocabulary import BASE_COLOUR

VERSION = "v1"
Shares = Mapping[str, Mapping[str, float]]
Severity = Literal["reject_drop", "reject_row", "warn"]

_READABLE = Column("row_problem").is_null()
_EARLIEST_YEAR, _LATEST_YEAR = 2000, 2040


def expectations(drop_id: str, article_types: Mapping[str, int], earlier: Shares | None) -> list[Expectation]:
    """Return the suite's expectations for the candidates of one drop.

    Args:
        drop_id: the drop.
        article_types: how many of its products are of each article type; of few, coverage says nothing.
        earlier: by column, the share of each value in the drops published before; ``None`` skips drift.
    """
    common = {name for name, products in article_types.items() if products >= limits()["coverage"]["least_products"]}
    lasting = [*_of_the_drop(drop_id), *_of_rows(), *_known_values(), *_worth_a_look()]
    return [*lasting, *_coverage(common), *_drift(earlier or {})]


@cache
def limits() -> dict[str, Any]:
    """Return the suite's known values and thresholds, as its file has them."""
    text = resources.files("lookbook.quality.suites").joinpath(f"{VERSION}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _meta(severity: Severity, says: str, **code: str) -> dict[str, Any]:
    return {"severity": severity, "says": says, **code}


def _of_the_drop(drop_id: str) -> list[Expectation]:
    return [
        gxe.ExpectTableRowCountToBeBetween(
            min_value=1, meta=_meta("reject_drop", "the drop has no rows", code="no_rows")
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="drop_id",
            value_set=[drop_id],
            meta=_meta("reject_drop", "rows of another drop are among them", code="other_drop"),
        ),
    ]


def _of_rows() -> list[Expectation]:
    return [
        gxe.ExpectColumnValuesToBeNull(
            column="row_problem", meta=_meta("reject_row", "the line could not be read", code_from="row_problem")
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="picture_problem",
            meta=_meta("reject_row", "the picture cannot be used", code_from="picture_problem"),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="occurrence",
            max_value=1,
            meta=_meta("reject_row", "an earlier line has the same id", code="duplicate_id"),
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="display_name",
            row_condition=_READABLE,
            meta=_meta("reject_row", "productDisplayName is empty", code="missing_display_name"),
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="article_type",
            row_condition=_READABLE,
            meta=_meta("reject_row", "articleType is empty", code="missing_article_type"),
        ),
    ]


def _known_values() -> list[Expectation]:
    known: dict[str, list[str]] = limits()["known"] | {"base_colour": list(vocabulary.load().values[BASE_COLOUR])}
    return [
        gxe.ExpectColumnValuesToBeInSet(
            column=column,
            value_set=[*values, "NA"],
            meta=_meta("warn", f"{column} is not one of the known values", code=f"unknown_{column}"),
        )
        for column, values in known.items()
    ]


def _worth_a_look() -> list[Expectation]:
    years = gxe.ExpectColumnValuesToBeBetween(
        column="year",
        min_value=_EARLIEST_YEAR,
        max_value=_LATEST_YEAR,
        meta=_meta("warn", f"year is not within {_EARLIEST_YEAR} to {_LATEST_YEAR}", code="implausible_year"),
    )
    stated = [
        gxe.ExpectColumnValuesToNotBeInSet(
            column=column, value_set=["NA"], meta=_meta("warn", f"{column} is NA", code=f"{column}_not_stated")
        )
        for column in ("display_name", "base_colour")
    ]
    clear = [
        gxe.ExpectColumnValuesToBeNull(column=column, meta=_meta("warn", says, **code))
        for column, says, code in (
            ("styles_problem", "the JSON could not be used", {"code_from": "styles_problem"}),
            ("unknown_attributes", "attribute values outside the vocabulary", {"code": "unknown_attribute_value"}),
            ("colour_in_name", "the name says another colour", {"code": "name_contradicts_colour"}),
            ("gender_in_name", "the name says another gender", {"code": "name_contradicts_gender"}),
            ("kids_as_adults", "a product for children is labelled Men or Women", {"code": "kids_labelled_adults"}),
            ("same_picture_as", "another product has the very same picture", {"code": "shared_picture"}),
            ("alike_picture_as", "another product has a picture that looks the same", {"code": "alike_picture"}),
        )
    ]
    return [years, *stated, *clear]


def _coverage(article_types: set[str]) -> list[Expectation]:
    """Return the expectations that most products of an article type state the attributes usual for it."""
    usual: dict[str, dict[str, float]] = limits()["coverage"]["stated"]
    return [
        gxe.ExpectColumnValuesToNotBeNull(
            column=f"attribute {attribute}",
            row_condition=Column("article_type") == article_type,
            mostly=share,
            meta=_meta("warn", f"fewer than {share:.0%} of {article_type} state {attribute}", code="low_coverage"),
        )
        for article_type in sorted(article_types & usual.keys())
        for attribute, share in usual[article_type].items()
    ]


def _drift(earlier: Shares) -> list[Expectation]:
    """Return the expectations that values are distributed as in the drops before."""
    most: dict[str, float] = limits()["drift"]["most"]
    return [
        gxe.ExpectColumnKLDivergenceToBeLessThan(
            column=column,
            partition_object={"values": list(shares), "weights": list(shares.values())},
            threshold=most[column],
            # A value that was never seen before must not make the divergence infinite.
            tail_weight_holdout=limits()["drift"]["unseen_share"],
            meta=_meta("warn", f"{column} is distributed otherwise than in earlier drops", code=f"drift_{column}"),
        )
        for column, shares in earlier.items()
    ]
