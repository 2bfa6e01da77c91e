"""What a training or evaluation job says in the record of its task, as SageMaker describes it."""

from __future__ import annotations

from typing import Any

import pytest

from lookbook import storage
from lookbook.lineage.records import Dataset, LineageRecord, TaskKey, recording
from lookbook.training import reporting

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/lookbook-training@sha256:ab12"
OUTPUT = "s3://lookbook/training/jobs/{}/output/model.tar.gz"


def described(name: str, *channels: str, instance_type: str = "ml.g5.2xlarge") -> dict[str, Any]:
    """Return a job as DescribeTrainingJob does; it was billed for half an hour and has left an artefact."""
    storage.write_bytes(OUTPUT.format(name), b"artefact")
    sources = [{"ChannelName": "c", "DataSource": {"S3DataSource": {"S3Uri": uri}}} for uri in channels]
    return {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{name}",
        "AlgorithmSpecification": {"TrainingImage": IMAGE},
        "InputDataConfig": sources,
        "ResourceConfig": {"InstanceType": instance_type, "InstanceCount": 2},
        "ModelArtifacts": {"S3ModelArtifacts": OUTPUT.format(name)},
        "BillableTimeInSeconds": 1800,
    }


def reported(job: dict[str, Any]) -> LineageRecord:
    with recording(TaskKey("retrain_attribute_model", "r", "train")) as record:
        reporting.report(job)
    return record


@pytest.mark.usefixtures("bucket")
def test_a_training_job_leaves_a_models_artefact_and_its_price() -> None:
    job = described("lookbook-train-1", "s3://lookbook/data/train/")
    record = reported(job)
    assert [(read.kind, read.name) for read in record.inputs] == [
        ("prefix", "s3://lookbook/data/train/"),
        ("image", IMAGE),
    ]
    assert record.inputs[1].version == "sha256:ab12"
    artefact = storage.find(OUTPUT.format("lookbook-train-1"))
    assert artefact and record.outputs == [
        Dataset("training_job", "lookbook-train-1", job["TrainingJobArn"]),
        Dataset("model_artifact", artefact.uri, artefact.etag),
    ]
    assert record.counts == {"billable_seconds": 1800}
    assert record.cost_usd == reporting.reference(job)["cost_usd"] == pytest.approx(1.515)


@pytest.mark.usefixtures("bucket")
def test_an_evaluation_reads_artefacts_and_leaves_a_report_that_is_none() -> None:
    challenger = storage.write_bytes(OUTPUT.format("lookbook-train-1"), b"artefact")
    record = reported(described("lookbook-evaluate-1", challenger.uri))
    assert record.inputs[0] == Dataset("model_artifact", challenger.uri, challenger.etag)
    assert [made.kind for made in record.outputs] == ["training_job", "object"]


@pytest.mark.usefixtures("bucket")
def test_a_job_on_an_instance_without_a_list_price_has_no_cost() -> None:
    job = described("lookbook-train-1", instance_type="ml.p9.48xlarge")
    assert (reported(job).cost_usd, reporting.reference(job)["cost_usd"]) == (None, None)
