"""The branch of a chain that leads to the model: what it answered, behind which endpoint, and what it learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import orjson
from botocore.exceptions import ClientError
from pyiceberg.expressions import And

from lookbook import storage
from lookbook.aws import client
from lookbook.catalog import tables
from lookbook.catalog.views import View
from lookbook.lineage.chain import Link, stated
from lookbook.lineage.runs import Runs
from lookbook.lineage.together import Together
from lookbook.training import registry
from lookbook.vqa import datasets

Row = Mapping[str, Any]

_TABLE = "predictions.attributes"
_COLUMNS = ("attribute", "value", "probability", "abstained", "model_version", "result_uri", "transform_job")
_TOLD = ("gate", "promoted_by", "promoted_because", "evaluation_page")


def predictions(row: Row, runs: Future[Runs], together: Together) -> Link | None:
    """Return what the model answered about the product of a description, ``None`` where no model was asked."""
    version = row["attribute_model_version"]
    if version is None:
        return None
    package = together.start(_model_package, version, runs, together)
    config = together.start(_endpoint_config, row["endpoint_config"], runs) if row["endpoint_config"] else None
    answers = _answers(row, version, View(_TABLE), runs.result())
    return Link(
        kind="attribute predictions",
        name=f"model {version}",
        version=answers[0]["result_uri"] if answers else None,
        details={answer["attribute"]: _answer(answer) for answer in answers},
        tasks=runs.result().tasks_of(row["dag_id"], row["run_id"], "predict_attributes"),
        problem=None if answers else "predictions.attributes no longer has its answers",
        sources=(config.result() if config else _transform_job(answers, runs), package.result()),
    )


def _answers(row: Row, version: str, view: View, runs: Runs) -> list[Row]:
    """Return a model's answers as the run that wrote the description read them: a later model's replace them."""
    snapshot = runs.version_read(row["dag_id"], row["run_id"], _TABLE)
    if snapshot is not None and not view.knows(snapshot):
        return []
    of_product = And(tables.equals("drop_id", row["drop_id"]), tables.equals("product_id", row["product_id"]))
    found = view.rows(of_product, _COLUMNS, snapshot).to_pylist()
    return [answer for answer in found if answer["model_version"] == version]


def _answer(answer: Row) -> str:
    if answer["value"] is None:
        return f"abstained (probability {answer['probability']:.3f})" if answer["abstained"] else "no answer"
    return f"{answer['value']} (probability {answer['probability']:.3f})"


def _endpoint_config(name: str, runs: Future[Runs]) -> Link:
    found = _described("describe_endpoint_config", EndpointConfigName=name)
    return Link(
        kind="endpoint config",
        name=name,
        version=found["EndpointConfigArn"] if found else None,
        tasks=runs.result().writers("endpoint_config", lambda output: output["version"] == name),
        problem=None if found else "SageMaker has no such endpoint config",
    )


def _transform_job(answers: Sequence[Row], runs: Future[Runs]) -> Link:
    name = next((answer["transform_job"] for answer in answers if answer["transform_job"]), None)
    if name is None:
        return Link("endpoint config", "unknown", problem="neither the description nor the answers name one")
    found = _described("describe_transform_job", TransformJobName=name)
    return Link(
        kind="transform job",
        name=name,
        version=found["TransformJobArn"] if found else None,
        tasks=runs.result().writers("transform_job", lambda output: output["name"] == name),
        problem=None if found else "SageMaker has no such transform job",
    )


def _model_package(version: str, runs: Future[Runs], together: Together) -> Link:
    package = registry.package(version)
    if package is None:
        return Link("model package", version, problem="the registry has no such version")
    arn, metadata = package["ModelPackageArn"], package.get("CustomerMetadataProperties", {})
    job = together.start(_training_job, metadata["training_job"])
    dataset = _dataset(metadata["dataset_id"], runs)
    told = {name: value for name, value in metadata.items() if name.startswith("exact_match_") or name in _TOLD}
    return Link(
        kind="model package",
        name=f"{package['ModelPackageGroupName']} {version}",
        version=arn,
        details={"approval": package["ModelApprovalStatus"], **told},
        tasks=runs.result().writers("model_package", lambda output: output["version"] == arn),
        sources=(_trained_by(metadata["training_job"], job.result(), dataset, runs.result()),),
    )


def _training_job(name: str) -> dict[str, Any] | None:
    return _described("describe_training_job", TrainingJobName=name)


def _trained_by(name: str, job: Mapping[str, Any] | None, dataset: Link, runs: Runs) -> Link:
    artefact, algorithm = (job.get(part, {}) if job else {} for part in ("ModelArtifacts", "AlgorithmSpecification"))
    return Link(
        kind="training job",
        name=name,
        version=job["TrainingJobArn"] if job else None,
        details=stated(artefact=artefact.get("S3ModelArtifacts"), image=algorithm.get("TrainingImage")),
        tasks=runs.writers("training_job", lambda output: output["name"] == name),
        problem=None if job else "SageMaker has no such training job",
        sources=(dataset,),
    )


def _dataset(dataset_id: str, runs: Future[Runs]) -> Link:
    uri = f"{datasets.dataset_uri(dataset_id)}dataset.json"
    stored = storage.fetch(uri)
    content = orjson.loads(stored[0]) if stored else {}
    sides = {side: f"{counts['pairs']} pairs" for side, counts in content.get("counts", {}).items()}
    return Link(
        kind="data set",
        name=dataset_id,
        version=stored[1].etag if stored else None,
        details=stated(uri=uri, products_snapshot=content.get("products_snapshot")) | sides,
        tasks=runs.result().writers("object", lambda output: output["name"] == uri),
        problem=None if stored else f"{uri} is gone",
    )


def _described(operation: str, **arguments: str) -> dict[str, Any] | None:
    """Describe a SageMaker resource; ``None`` when there is none of the name."""
    try:
        described: dict[str, Any] = getattr(client("sagemaker"), operation)(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            return None
        raise
    return described
