"""What is said of columns names every column there is, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from lookbook.catalog.schemas import CANDIDATES, TABLES
from lookbook.drops import styles
from lookbook.drops.lines import COLUMNS
from lookbook.lineage.openlineage import columns
from lookbook.lineage.openlineage.naming import Identity, table

DROP = [Identity("s3://lookbook", f"drops/2026-11-16/{part}") for part in ("styles.csv", "styles", "images")]
STAGED = Identity("s3://lookbook", "staging/2026-11-16/f/candidates.parquet")
TOLD = sorted(columns.facts()["columns"])


def rules(name: str) -> dict[str, dict[str, Any]]:
    return {column: rule for column, rule in columns.facts()["columns"][name].items() if column != "made"}


def passed_on(name: str) -> set[str]:
    return {
        column for rule in columns.facts()["same"] if rule["to"] == name for column in columns.columns_of(rule["from"])
    }


def sources() -> Iterator[tuple[str, str]]:
    for name in TOLD:
        for rule in rules(name).values():
            for source in rule["from"]:
                player, _, column = source.partition(":")
                yield player, column


def test_every_table_is_told_of_but_that_of_lineage_itself() -> None:
    assert set(TOLD) == {"candidates"} | TABLES.keys() - {"lineage.runs"}
    assert columns.facts()["documentation"].keys() == {"candidates", *TABLES}


@pytest.mark.parametrize("name", TOLD)
def test_every_column_stands_there_once(name: str) -> None:
    made, ruled = columns.facts()["columns"][name].get("made", []), rules(name)
    schema = CANDIDATES if name == "candidates" else TABLES[name]

    assert set(made) | set(ruled) <= set(schema.names), "no column that there isn't"
    assert set(made) | set(ruled) | passed_on(name) >= set(schema.names), "none is forgotten"
    assert not set(made) & set(ruled)


def test_every_source_is_a_column_that_there_is() -> None:
    for player, column in sources():
        if player != "validation":
            assert column == "*" or column in columns.columns_of(player), (player, column)


def test_the_columns_of_styles_csv_are_those_that_a_drop_must_have() -> None:
    assert columns.columns_of("styles.csv") == list(COLUMNS)


def test_a_candidates_column_comes_from_the_drops_files() -> None:
    facet = columns.lineage(STAGED, CANDIDATES.names, DROP)
    assert facet
    [colour, *rest] = facet.fields["attributes"].inputFields
    assert [(one.name, one.field) for one in (colour, *rest)] == [
        ("drops/2026-11-16/styles", "data.articleAttributes"),
        ("drops/2026-11-16/styles.csv", "baseColour"),
    ]
    assert facet.fields["product_id"].inputFields[0].transformations[0].subtype == "IDENTITY"  # type: ignore[index]
    assert len(facet.fields["raw_line"].inputFields) == len(COLUMNS)
    assert "drop_id" not in facet.fields, "the run's own"


@pytest.mark.parametrize("source", [STAGED, table("catalog.products@audit-2026-11-16")])
def test_a_published_column_is_the_staged_one(source: Identity) -> None:
    facet = columns.lineage(table("catalog.products"), TABLES["catalog.products"].names, [source])
    assert facet
    assert facet.fields.keys() == set(TABLES["catalog.products"].names)
    assert {one.name for fields in facet.fields.values() for one in fields.inputFields} == {source.name}


def test_a_description_comes_from_the_catalogue_and_the_answers_whatever_the_task_read() -> None:
    facet = columns.lineage(table("descriptions.descriptions"), ["description", "reasons", "cost_usd"], [])
    assert facet
    assert facet.fields.keys() == {"description", "reasons"}
    assert {(one.name, one.field) for one in facet.fields["description"].inputFields} == {
        ("catalog.products", "attributes"),
        ("predictions.attributes", "value"),
    }
    assert facet.fields["reasons"].inputFields[0].transformations[0].type == "INDIRECT"  # type: ignore[index]


def test_of_a_column_that_an_older_version_lacks_nothing_is_said() -> None:
    facet = columns.lineage(table("catalog.products"), ["product_id"], [STAGED])
    assert facet and facet.fields.keys() == {"product_id"}


def test_of_a_dataset_that_no_column_is_known_of_nothing_is_said() -> None:
    assert columns.lineage(Identity("s3://lookbook", "plans/r/plan.json"), ["a"], DROP) is None
    assert columns.lineage(STAGED, CANDIDATES.names, []) is None


@pytest.mark.parametrize("column", [one for one in columns.columns_of("styles") if one.startswith("data.")])
def test_a_field_of_the_json_is_one_that_its_reader_reads(column: str) -> None:
    data = {
        "id": 1,
        "brandName": "Orlavane",
        "ageGroup": "Adults-Men",
        "articleAttributes": {"Fabric": "Cotton"},
        "productDescriptors": {"description": {"value": "A shirt."}},
    }
    without = {name: value for name, value in data.items() if name != column.removeprefix("data.")}
    whole, less = (styles.parse(orjson.dumps({"data": one}), "1") for one in (data, without))
    assert whole.problem is less.problem is None
    assert replace(whole, sha256="") != replace(less, sha256="")
