"""Where a sure model contradicts the catalogue: told once, kept up to date, never used."""

from __future__ import annotations

from typing import Any

import pytest
from tests.descriptions.conftest import DROP, product, publish_answers, publish_products

from lookbook.catalog import tables
from lookbook.descriptions import findings, planning
from lookbook.descriptions.findings import Findings

pytestmark = pytest.mark.usefixtures("aws_server")


def report(run: str = "run-1", only: tuple[str, ...] = (), version: str | None = "v3") -> Findings:
    plan = planning.plan_products(DROP, only, run)
    return findings.report(plan.uri, {"model_version": version})


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables.read("quality.findings").sort_by("product_id").to_pylist()
    return found


def test_a_sure_contradiction_is_a_finding_with_all_that_a_person_needs_to_judge_it() -> None:
    snapshot = publish_products(product("1"), product("2"), product("10"))
    publish_answers(
        ("1", "Fabric", "Linen", 0.8),  # contradicts
        ("1", "Neck", "Round Neck", 0.9),  # fills in
        ("10", "Fabric", "Cotton", 0.9),  # agrees
        ("2", "Fabric", "Linen", 0.69),  # not sure enough
        threshold=0.7,
    )
    told = report()
    assert told.reference() == {
        "drop_id": DROP,
        "model_version": "v3",
        "findings": 1,
        "products": 1,
        "by_attribute": {"Fabric": 1},
        "snapshot": tables.current_snapshot("quality.findings"),
    }
    assert rows() == [
        {
            "drop_id": DROP,
            "product_id": "1",
            "attribute": "Fabric",
            "article_type": "Shirts",
            "catalogue_value": "Cotton",
            "model_value": "Linen",
            "probability": 0.8,
            "threshold": 0.7,
            "model_version": "v3",
            "picture_uri": f"s3://lookbook/drops/{DROP}/images/1.jpg",
            "picture_sha256": "sha-of-1",
            "result_uri": "s3://lookbook/predictions/x.json",
            "products_snapshot": snapshot,
            "first_seen_run": "run-1",
        }
    ]


def test_reporting_again_leaves_the_same_rows_and_who_saw_them_first() -> None:
    publish_products(product("1"))
    publish_answers(("1", "Fabric", "Linen", 0.8))
    report("run-1")
    before = rows()
    report("run-2")
    assert rows() == before
    publish_answers(("1", "Fabric", "Silk", 0.8))
    report("run-3")
    assert [(row["model_value"], row["first_seen_run"]) for row in rows()] == [("Silk", "run-3")]


def test_what_was_mended_in_the_catalogue_is_no_finding_any_more() -> None:
    publish_products(product("1"))
    publish_answers(("1", "Fabric", "Linen", 0.8))
    assert report().findings == 1
    publish_products(product("1", attributes={"Fabric": "Linen"}))
    assert (report("run-2").findings, rows()) == (0, [])


def test_a_run_for_some_products_leaves_the_findings_of_the_others() -> None:
    publish_products(product("1"), product("2"))
    publish_answers(("1", "Fabric", "Linen", 0.8), ("2", "Fabric", "Linen", 0.8))
    report()
    publish_answers(("1", "Fabric", "Cotton", 0.8))
    report("run-2", only=("1",))
    assert [row["product_id"] for row in rows()] == ["2"]


def test_a_product_that_is_gone_from_its_drop_has_no_findings() -> None:
    publish_products(product("1"), product("2"))
    publish_answers(("1", "Fabric", "Linen", 0.8), ("2", "Fabric", "Linen", 0.8))
    report()
    publish_products(product("2"))
    report("run-2")
    assert [row["product_id"] for row in rows()] == ["2"]


def test_an_answer_about_another_picture_or_of_another_model_is_no_finding() -> None:
    publish_products(product("1"))
    publish_answers(("1", "Fabric", "Linen", 0.8), picture_sha256="another")
    assert report().findings == 0
    publish_answers(("1", "Fabric", "Linen", 0.8), version="v2")
    assert report("run-2").findings == 0


def test_without_a_model_in_service_earlier_findings_stay() -> None:
    publish_products(product("1"))
    publish_answers(("1", "Fabric", "Linen", 0.8))
    report()
    before = rows()
    assert report("run-2", version=None).snapshot is None
    assert rows() == before != []


def test_where_there_is_nothing_to_tell_nothing_is_committed() -> None:
    publish_products(product("1"))
    publish_answers(("1", "Fabric", "Cotton", 0.8))
    assert report().snapshot is None
