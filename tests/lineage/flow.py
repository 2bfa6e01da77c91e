"""One product through all three DAGs, without Airflow: what each leaves in S3, SageMaker, tables and lineage."""

from __future__ import annotations

import hashlib
from typing import Any

import boto3
import pyarrow as pa
from tests.descriptions.conftest import DROP, product, publish_answers, publish_products

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions import planning, plans
from lookbook.descriptions.results import Result
from lookbook.descriptions.texts import ProductText
from lookbook.lineage import records, store
from lookbook.lineage.records import TaskKey
from lookbook.settings import get_settings

INGEST, RETRAIN, DESCRIBE = "ingest_drop", "retrain_attribute_model", "describe_products"
PICTURE, STYLES = b"a picture", b'{"data": {}}'
PICTURE_URI = f"s3://lookbook/drops/{DROP}/images/38642.jpg"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def task(dag_id: str, task_id: str, map_index: int = -1) -> TaskKey:
    return TaskKey(dag_id, "run-1", task_id, map_index, drop_id=None if dag_id == RETRAIN else DROP)


def ingest(**columns: Any) -> None:
    root = f"s3://lookbook/drops/{DROP}/"
    picture = storage.write_bytes(PICTURE_URI, PICTURE)
    storage.write_bytes(f"{root}styles/38642.json", STYLES)
    storage.write_bytes(f"{root}styles.csv", b"id,gender\n38642,Men\n")
    with records.recording(task(INGEST, "read")) as read:
        pass
    with records.recording(task(INGEST, "publish")) as published:
        publish_products(
            product(
                "38642",
                line_number=2,
                raw_line="38642,Men",
                picture_uri=PICTURE_URI,
                picture_etag=picture.etag,
                picture_sha256=sha256(PICTURE),
                styles_json_uri=f"{root}styles/38642.json",
                styles_json_sha256=sha256(STYLES),
                **columns,
            )
        )
    for record in (read, published):
        store.save(record)
    store.collect(INGEST, "run-1")


def retrain() -> str:
    """Leave what the retraining DAG leaves in SageMaker, S3 and lineage; return the endpoint config's name."""
    sagemaker, group = boto3.client("sagemaker"), get_settings().model_package_group
    role = get_settings().execution_role_arn
    dataset = storage.write_json(
        "s3://lookbook/training/datasets/d1/dataset.json",
        {"counts": {"train": {"pairs": 12}}, "products_snapshot": "77"},
    )
    job = sagemaker.create_training_job(
        TrainingJobName="lookbook-train-d1",
        AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "File"},
        RoleArn=role,
        OutputDataConfig={"S3OutputPath": "s3://lookbook/training/jobs"},
        ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )["TrainingJobArn"]
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    package = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={
            "dataset_id": "d1",
            "training_job": "lookbook-train-d1",
            "exact_match_challenger": "0.91",
            "gate": "overridden",
            "promoted_by": "ada",
        },
    )["ModelPackageArn"]
    sagemaker.create_model(
        ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": "image", "ModelDataUrl": "s3://lookbook/m"}
    )
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.g4dn.xlarge", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="config-v1", ProductionVariants=[variant])
    for task_id, kind, name, version in (
        ("build_dataset", "object", dataset.uri, dataset.etag),
        ("train", "training_job", "lookbook-train-d1", job),
        ("register", "model_package", group, package),
        ("deploy", "endpoint_config", get_settings().endpoint_name, "config-v1"),
    ):
        with records.recording(task(RETRAIN, task_id)) as record:
            records.writes(kind, name, version)
        store.save(record)
    store.collect(RETRAIN, "run-1")
    return "config-v1"


def describe(model_version: str | None, **asked: Any) -> Result:
    """Plan with the real planner, and publish a text for the product."""
    with records.recording(task(DESCRIBE, "plan")) as planned:
        plan = planning.plan_products(DROP, [], "run-1")
    with records.recording(task(DESCRIBE, "predict_attributes")) as predicted:
        if model_version:
            answers = (("38642", "Neck", "V-Neck", 0.93), ("38642", "Fabric", "Linen", 0.6))
            publish_answers(*answers, version=model_version, picture_sha256=sha256(PICTURE), **asked)
            if "transform_job" in asked:
                records.writes("transform_job", asked["transform_job"], "arn")
    with records.recording(task(DESCRIBE, "shard")) as cut:
        shards = planning.plan_shards(plan.uri, {"model_version": model_version})
    [item] = plans.read_items(shards.shards[0].uri)
    with records.recording(task(DESCRIBE, "describe", 0)) as described:
        result = Result(
            item,
            "published",
            text=ProductText("A blue shirt."),
            request_id="request-1",
            calls=1,
            input_tokens=210,
            output_tokens=60,
            cost_usd=0.000408,
            dag_id=DESCRIBE,
            run_id="run-1",
            task_id="describe",
            map_index=0,
        )
        storage.write_json(item.result_uri, result.as_dict())
    with records.recording(task(DESCRIBE, "publish")) as published:
        table = pa.Table.from_pylist([result.row()], schema=DESCRIPTIONS)
        tables.replace("descriptions.descriptions", table, tables.equals("drop_id", DROP))
    for record in (planned, predicted, cut, described, published):
        store.save(record)
    store.collect(DESCRIBE, "run-1")
    return result
