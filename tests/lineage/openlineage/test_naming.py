"""Each thing of a lineage record has the name that OpenLineage's specification gives it, and Marquez can read it."""

from __future__ import annotations

import pytest
from tests.lineage.openlineage import marquez

from lookbook.lineage.openlineage.naming import dropped, identity
from lookbook.lineage.records import Dataset, Kind

ARN = "arn:aws:sagemaker:us-east-1:123456789012:model-package/attributes/7"


@pytest.mark.parametrize(
    ("dataset", "namespace", "name"),
    [
        (
            Dataset("object", "s3://shop/staging/2026-11-16/f/candidates.parquet", "e"),
            "s3://shop",
            "staging/2026-11-16/f/candidates.parquet",
        ),
        (Dataset("prefix", "s3://shop/drops/2026-11-16/", "f"), "s3://shop", "drops/2026-11-16"),
        (Dataset("model_artifact", "s3://shop/models/model.tar.gz", "e"), "s3://shop", "models/model.tar.gz"),
        (Dataset("table", "catalog.products", "1"), "s3://lookbook/warehouse", "catalog.products"),
        (
            Dataset("model_package", "attributes", ARN),
            "awssagemaker://123456789012.sagemaker.us-east-1.amazonaws.com",
            "model-package-group/attributes",
        ),
        (
            Dataset("endpoint_config", "lookbook", "config-v1"),
            "awssagemaker://000000000000.sagemaker.us-east-1.amazonaws.com",
            "endpoint/lookbook",
        ),
        (Dataset("prompt", "product_description@2", "sha"), "lookbook://prompts", "product_description@2"),
        (
            Dataset("text_model", "anthropic.claude-3-5-haiku-20241022-v1:0", "x"),
            "awsbedrock://bedrock.us-east-1.amazonaws.com",
            "model/anthropic.claude-3-5-haiku-20241022-v1:0",
        ),
    ],
)
def test_a_dataset_has_its_name_in_its_namespace(dataset: Dataset, namespace: str, name: str) -> None:
    assert identity(dataset) == (namespace, name)
    assert marquez._node("dataset", {"namespace": namespace, "name": name})


@pytest.mark.parametrize("kind", ["training_job", "transform_job", "batch_job", "request", "image", "validation"])
def test_a_job_a_request_an_image_and_a_verdict_are_no_datasets(kind: Kind) -> None:
    assert identity(Dataset(kind, "name", "version")) is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("training/datasets/d1/train/pairs.parquet", "training/datasets/d1/train/"),
        ("plans/run-1/results/0001.json", "plans/run-1/results/0002.json"),
        ("batches/job/input/records.jsonl", "batches/job/input/"),
    ],
)
def test_files_that_belong_together_are_one_dataset(written: str, read: str) -> None:
    one, other = Dataset("object", f"s3://shop/{written}", "v"), Dataset("prefix", f"s3://shop/{read}", "v")
    assert identity(one) == identity(other)


def test_a_plan_and_its_results_are_two_datasets() -> None:
    names = {
        identity(Dataset("object", f"s3://shop/plans/r/{part}", "v")) for part in ("plan.json", "items/1", "results/1")
    }
    assert len(names) == 3


def test_the_audit_branches_of_all_drops_are_one_dataset_beside_the_table() -> None:
    names = [f"catalog.products@audit-2026-11-{day}" for day in ("09", "16")]
    found = {identity(Dataset("table", name, "1")) for name in names}
    assert {one.name for one in found if one} == {"catalog.products@audit"}


def test_only_the_folder_of_a_drop_is_a_drop() -> None:
    assert dropped("s3://lookbook/drops/2026-11-16/") == "2026-11-16"
    assert dropped("s3://lookbook/drops/2026-11-16/images/") is None
    assert dropped("s3://lookbook/staging/2026-11-16/") is None
