"""Suite v1: what a drop and each of its rows must be.

Each expectation says in its ``meta`` how severe a failure is (``severity``), which reason code it gives (``code``, or
``code_from`` for the codes that the column itself holds), and what that means (``says``).
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any, Literal

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.row_conditions import Column

from lookbook.drops import vocabulary
from lookbook.drops.vocabulary import BASE_COLOUR

VERSION = "v1"
Severity = Literal["reject_drop", "reject_row", "warn"]

_READABLE = Column("row_problem").is_null()
_EARLIEST_YEAR, _LATEST_YEAR = 2000, 2040


def expectations(drop_id: str) -> list[Expectation]:
    """Return the suite's expectations for the candidates of one drop."""
    return [*_of_the_drop(drop_id), *_of_rows(), *_known_values(), *_worth_a_look()]


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
    text = resources.files("lookbook.quality.suites").joinpath(f"{VERSION}.toml").read_text(encoding="utf-8")
    known: dict[str, list[str]] = tomllib.loads(text)
    known["base_colour"] = list(vocabulary.load().values[BASE_COLOUR])
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
            ("same_picture_as", "another product has the very same picture", {"code": "shared_picture"}),
        )
    ]
    return [years, *stated, *clear]
