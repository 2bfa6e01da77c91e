"""A record's datasets in OpenLineage's words: each event keeps to the schemas, and says what is known."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pyiceberg.types import StringType
from tests.descriptions.conftest import product, publish_products
from tests.lineage.openlineage.events import DROP, event, record
from tests.lineage.openlineage.schemas import every_facet, problems

from lookbook import storage
from lookbook.catalog import tables
from lookbook.lineage.openlineage.datasets import TaskLineage, task_lineage
from lookbook.lineage.openlineage.lookups import Lookups, TableVersion, table_version
from lookbook.lineage.records import Dataset
from lookbook.settings import get_settings

CANDIDATES = f"s3://lookbook/staging/{DROP}/f/candidates.parquet"
VALIDATION = CANDIDATES.replace("candidates.parquet", "validation.json")
ARN = "arn:aws:sagemaker:us-east-1:123456789012:model-package/attributes/7"
VERDICT = {
    "rows": 200,
    "expectations": [
        {
            "expectation": "expect_column_values_to_be_null",
            "column": "picture_problem",
            "code": "picture_problem",
            "severity": "reject_row",
            "says": "the picture cannot be used",
            "met": False,
            "rows": 3,
        },
        {
            "expectation": "expect_table_row_count_to_be_between",
            "column": None,
            "code": "no_rows",
            "severity": "reject_drop",
            "says": "the drop has no rows",
            "met": True,
            "rows": 0,
        },
        {
            "expectation": "expect_column_values_to_be_in_set",
            "column": "gender",
            "code": "unknown_gender",
            "severity": "warn",
            "says": "gender is not one of the known values",
            "met": True,
            "rows": 0,
        },
    ],
}
PACKAGE = {
    "ModelPackageArn": ARN,
    "ModelApprovalStatus": "Approved",
    "CustomerMetadataProperties": {
        "dataset_id": "d1",
        "training_job": "lookbook-train-d1",
        "products_snapshot": "77",
        "exact_match_challenger": "0.9100",
        "lead": "-0.0200",
        "gate": "overridden",
        "promoted_by": "ada",
        "endpoint_config": "config-v7",
    },
}
SUMMARY = {"added-records": "190", "total-records": "380", "added-files-size": "9000", "added-data-files": "1"}
KNOWN = Lookups(
    table=lambda name, snapshot: TableVersion({"drop_id": "string", "product_id": "string"}, SUMMARY),
    validation=lambda uri: VERDICT,
    package=lambda arn: PACKAGE,
)


def told(*arguments: Any, look: Lookups = KNOWN, **more: Any) -> TaskLineage:
    return task_lineage(record(*arguments, **more), "data-platform", look)


READ = told(
    "read",
    [Dataset("prefix", f"s3://lookbook/drops/{DROP}/", "fingerprint")],
    [Dataset("object", CANDIDATES, "etag", checksum="5ha")],
    counts={"rows": 200},
)
VALIDATED = told(
    "validate",
    [Dataset("object", CANDIDATES, "etag")],
    [Dataset("object", VALIDATION, "etag"), Dataset("validation", "v1", "result-1")],
)
PUBLISHED = told(
    "publish",
    [Dataset("table", f"catalog.products@audit-{DROP}", "11", DROP)],
    [Dataset("table", "catalog.products", "11", DROP)],
    cost_usd=0.0719,
)
REGISTERED = told(
    "register",
    [Dataset("model_artifact", "s3://lookbook/training/jobs/j/output/model.tar.gz", "etag")],
    [Dataset("model_package", "attributes", ARN), Dataset("training_job", "j", "arn:j")],
)
DESCRIBED = told(
    "describe",
    [Dataset("prompt", "product_description@2", "sha"), Dataset("text_model", "claude:0", "claude:0")],
    [Dataset("request", "claude:0", "request-1"), Dataset("object", "s3://lookbook/plans/r/results/1.json", "e")],
)
ALL = {"read": READ, "validate": VALIDATED, "publish": PUBLISHED, "register": REGISTERED, "describe": DESCRIBED}


@pytest.mark.parametrize("name", ALL)
def test_an_event_keeps_to_the_schemas(name: str) -> None:
    assert problems(event(ALL[name])) == []


def test_an_event_that_does_not_keep_to_the_schemas_is_noticed() -> None:
    def wrong(damage: Any) -> list[str]:
        damaged = copy.deepcopy(event(VALIDATED))
        damage(damaged)
        return problems(damaged)

    def facet(sent: dict[str, Any]) -> Any:
        return sent["inputs"][0]["inputFacets"]["dataQualityAssertions"]

    assert wrong(lambda sent: sent["run"].update(runId="none")), "an id that is no UUID"
    assert wrong(lambda sent: sent.pop("producer"))
    assert wrong(lambda sent: facet(sent)["assertions"][0].update(success="yes"))
    assert wrong(lambda sent: facet(sent)["assertions"][0].pop("assertion"))
    assert wrong(
        lambda sent: facet(sent).update(_schemaURL="https://openlineage.io/spec/facets/9-9-9/No.json#/$defs/No")
    )
    assert wrong(lambda sent: sent["run"]["facets"]["lookbook_task"].update(counts={"rows": "many"}))
    assert not wrong(lambda sent: None)


def test_a_drop_is_told_as_the_files_that_columns_come_from() -> None:
    assert [one.name for one in READ.inputs] == [f"drops/{DROP}/{part}" for part in ("styles.csv", "styles", "images")]
    sent = event(READ)
    assert [field["name"] for field in sent["inputs"][0]["facets"]["schema"]["fields"]][:2] == ["id", "gender"]
    [output] = sent["outputs"]
    assert output["facets"]["version"]["datasetVersion"] == "etag"
    assert output["facets"]["tags"]["tags"][0]["value"] == "5ha"
    assert output["facets"]["ownership"]["owners"] == [{"name": "data-platform", "type": "MAINTAINER"}]
    assert "base_colour" in output["facets"]["columnLineage"]["fields"]


def test_what_great_expectations_found_is_told_of_the_candidates() -> None:
    [candidates] = event(VALIDATED)["inputs"]
    found = candidates["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [(one["name"], one["success"], one["severity"]) for one in found] == [
        ("picture_problem", False, "error"),
        ("no_rows", True, "error"),
        ("unknown_gender", True, "warn"),
    ]
    assert (found[0]["column"], found[0]["actual"]) == ("picture_problem", "3 rows")
    assert "column" not in found[1]
    assert candidates["inputFacets"]["dataQualityMetrics"]["rowCount"] == 200


def test_a_tables_version_brings_its_columns_and_what_was_written() -> None:
    [products] = event(PUBLISHED)["outputs"]
    assert (products["namespace"], products["name"]) == ("s3://lookbook/warehouse", "catalog.products")
    facets = products["facets"]
    assert facets["schema"]["fields"][1] == {"name": "product_id", "type": "string", "fields": []}
    assert facets["dataQualityMetrics"]["rowCount"] == 380
    assert (facets["catalog"]["framework"], facets["catalog"]["type"]) == ("iceberg", "sql")
    assert facets["symlinks"]["identifiers"][0]["name"] == "warehouse/catalog/products"
    statistics = products["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"], statistics["fileCount"]) == (190, 9000, 1)
    [partition] = products["outputFacets"]["subset"]["outputCondition"]["partitions"]
    assert partition["dimensions"] == {"drop_id": DROP}


def test_a_model_tells_where_it_came_from_and_how_good_it_is() -> None:
    [package] = event(REGISTERED)["outputs"]
    model = package["facets"]["lookbook_model"]
    assert (model["version"], model["packageArn"], model["approvalStatus"]) == ("v7", ARN, "Approved")
    assert (model["dataSetId"], model["trainingJob"], model["productsSnapshot"]) == ("d1", "lookbook-train-d1", "77")
    assert (model["gate"], model["promotedBy"]) == ("overridden", "ada")
    assert model["metrics"] == {"exact_match_challenger": 0.91, "lead": -0.02}
    assert package["facets"]["datasetType"]["datasetType"] == "MODEL"


def test_the_run_tells_what_is_no_dataset() -> None:
    facet = event(REGISTERED)["run"]["facets"]["lookbook_task"]
    assert facet["services"] == [{"kind": "training_job", "name": "j", "version": "arn:j"}]
    facet = event(PUBLISHED)["run"]["facets"]["lookbook_task"]
    assert (facet["dropId"], facet["costUsd"], facet["codeVersion"]) == (DROP, 0.0719, "abc1234")
    assert facet["record"] == "s3://lookbook/lineage/ingest_drop/run-1/publish/-1.json"


def test_files_of_one_folder_are_told_once() -> None:
    parts = [Dataset("object", f"s3://lookbook/training/datasets/d1/{part}", part) for part in ("a", "dataset.json")]
    [output] = told("build_dataset", [], parts).outputs
    assert output.name == "training/datasets/d1"
    assert output.facets and output.facets["version"].datasetVersion == "dataset.json"  # type: ignore[attr-defined]


def test_what_cannot_be_looked_up_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def gone(*arguments: str) -> Any:
        raise LookupError("expired")

    blind = Lookups(table=gone, validation=gone, package=gone)
    lineages = [
        told("publish", [], [Dataset("table", "catalog.products", "11")], look=blind),
        told("validate", [Dataset("object", CANDIDATES, "e")], [Dataset("object", VALIDATION, "e")], look=blind),
        told("register", [], [Dataset("model_package", "attributes", ARN)], look=blind),
    ]
    for one in lineages:
        sent = event(one)
        assert problems(sent) == []
        assert sent["outputs"][0]["facets"]["version"]
        names = {where.rpartition(" ")[2] for where, _ in every_facet(sent)}
        assert not names & {"columnLineage", "dataQualityAssertions", "lookbook_model", "outputStatistics"}
    assert caplog.text.count("expired") == 3


def test_the_schemas_are_where_the_source_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_SOURCE_URL", "https://git.example.com/lookbook/raw/v1/")
    get_settings.cache_clear()
    facet = event(told("read"))["run"]["facets"]["lookbook_task"]
    assert facet["_schemaURL"] == (
        "https://git.example.com/lookbook/raw/v1/include/lookbook/lineage/openlineage/schemas/"
        "LookbookTaskRunFacet.json#/$defs/LookbookTaskRunFacet"
    )


@pytest.mark.usefixtures("aws_server")
def test_a_table_is_told_as_it_was_at_the_version() -> None:
    publish_products(product("1"), product("2"))
    version = tables.current_snapshot("catalog.products")
    with tables.load("catalog.products").update_schema() as update:
        update.add_column("material", StringType())
    tables.load("catalog.products").append(tables.load("catalog.products").scan().to_arrow())

    found = table_version("catalog.products", version)
    assert "material" not in found.columns
    assert found.columns["attributes"] == "map<string, string>"
    assert (found.number("added-records"), found.number("total-records")) == (2, 2)
    assert found.number("deleted-records") is None
    with pytest.raises(LookupError, match="has no snapshot 7"):
        table_version("catalog.products", "7")


@pytest.mark.usefixtures("aws_server")
def test_the_verdict_is_read_from_where_the_task_left_it() -> None:
    storage.write_json(VALIDATION, VERDICT)
    real = Lookups(table=KNOWN.table, package=KNOWN.package)
    read = told("validate", [Dataset("object", CANDIDATES, "e")], [Dataset("object", VALIDATION, "e")], look=real)
    assert read.inputs[0].inputFacets and "dataQualityAssertions" in read.inputs[0].inputFacets
