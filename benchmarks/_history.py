"""What five runs over a whole catalogue leave: tables, lineage records, models. Made directly, not by running.

Each run replaces the drop's rows (products, answers, descriptions), adds a data set with its pairs, trains and
registers a model, and leaves the records of its tasks, those that describe in shards among them. Of the products that
are asked about, what a chain verifies (JSON, picture, stored outcome) lies in S3 too.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS, PREDICTED_ATTRIBUTES, PRODUCTS, TABLES, VQA_PAIRS
from lookbook.descriptions import prompts
from lookbook.drops.discovery import drop_uri
from lookbook.lineage import records, store
from lookbook.lineage.records import TaskKey
from lookbook.settings import get_settings
from lookbook.vqa import datasets

DROP = "2026-11-16"
PRODUCTS_OF_THE_REFERENCE = 44_446
RUNS = 5
SHARD = 500
ATTRIBUTES = ("Fabric", "Fit", "Collar", "Neck", "Pattern", "Sleeve Length", "Sleeve Styling", "baseColour")
_SIDES = ("train", "train", "train", "validation", "benchmark")
_PICTURE_BYTES = 100_000
_INGEST, _RETRAIN, _DESCRIBE = "ingest_drop", "retrain_attribute_model", "describe_products"
_WORDS = (
    *("a", "shirt", "for", "every", "day", "cut", "straight", "easy", "to", "wear", "neat", "made", "last", "often"),
    *("keeps", "its", "shape", "after", "many", "wash", "goes", "with", "jeans", "as", "well", "suit", "of", "and"),
)
_Pictures = dict[str, tuple[str, str]]  # SHA-256 of JSON and picture, by product, of those that lie in S3


@dataclass(frozen=True)
class History:
    """What was made: all products' ids, those that may be asked about, and the models, oldest first."""

    products: int
    asked: list[str]
    models: list[str]
    rows: dict[str, int]


def make(data: Path | None, asked: int, seed: int = 0) -> History:
    """Make five runs' worth of everything, and return what there is to ask about.

    Args:
        data: a catalogue in Kaggle's layout, whose rows, JSON and pictures are taken; none means made-up ones.
        asked: how many products will be asked about, chosen at random.
        seed: of the choice.
    """
    lines = _real_lines(data) if data else _made_up_lines()
    chosen = sorted(random.Random(seed).sample(sorted(lines), asked))  # noqa: S311 - a sample, no secret
    storage.write_bytes(f"{drop_uri(DROP)}styles.csv", "\n".join(lines.values()).encode())
    pictures = {product_id: _store(product_id, data) for product_id in chosen}
    for number in range(1, RUNS + 1):
        _run(number, lines, pictures)
    rows = {name: len(tables.read(name, columns=(TABLES[name].names[0],))) for name in TABLES}
    return History(len(lines), chosen, [f"v{number}" for number in range(1, RUNS + 1)], rows)


def _made_up_lines() -> dict[str, str]:
    ids = random.Random(1).sample(range(1000, 60_000), PRODUCTS_OF_THE_REFERENCE)  # noqa: S311 - no secret
    return {
        str(one): f"{one},Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle Check Men Navy Blue Shirt {one}"
        for one in ids
    }


def _real_lines(data: Path) -> dict[str, str]:
    text = (data / "styles.csv").read_text(encoding="utf-8")
    return {next(csv.reader(io.StringIO(line)))[0]: line for line in text.splitlines()[1:] if line}


def _store(product_id: str, data: Path | None) -> tuple[str, str]:
    """Store a product's JSON and picture in the drop; return their checksums."""
    contents = []
    for name in (f"styles/{product_id}.json", f"images/{product_id}.jpg"):
        source = data / name if data else None
        made_up = hashlib.shake_256(name.encode()).digest(_PICTURE_BYTES if name.endswith("jpg") else 2_000)
        content = source.read_bytes() if source and source.exists() else made_up
        storage.write_bytes(f"{drop_uri(DROP)}{name}", content)
        contents.append(hashlib.sha256(content).hexdigest())
    return contents[0], contents[1]


def _run(number: int, lines: dict[str, str], pictures: _Pictures) -> None:
    """Leave what the three DAGs leave of one run over the drop."""
    ids, run_id = sorted(lines), f"manual__2026-11-1{number}T06:00:00.000000+00:00"
    snapshot = _ingest(run_id, lines, pictures)
    config = _train(number, run_id, ids, pictures)
    _describe(number, run_id, ids, snapshot, config, pictures)


def _ingest(run_id: str, lines: dict[str, str], pictures: _Pictures) -> str:
    verdict = storage.write_json(f"s3://{get_settings().bucket}/staging/{DROP}/{run_id}/validation.json", {"rows": 1})
    for task_id in ("discover", "fingerprint", "read", "stage"):
        _record(_INGEST, run_id, task_id, outputs=[("object", f"s3://lookbook/staging/{task_id}.json", run_id)])
    with records.recording(TaskKey(_INGEST, run_id, "validate", drop_id=DROP)) as validated:
        records.writes_object(verdict)
        records.writes("validation", "v1", f"v1/{run_id}", partition=DROP, checksum=verdict.sha256)
        records.counts(rows=len(lines), rejected=0)
        records.details(data_docs=f"s3://lookbook/data-docs/{DROP}/index.html")
    with records.recording(TaskKey(_INGEST, run_id, "publish", drop_id=DROP)) as published:
        snapshot = _replace("catalog.products", _products(lines, pictures), DROP)
    store.save(validated)
    store.save(published)
    store.collect(_INGEST, run_id)
    return snapshot


def _products(lines: dict[str, str], pictures: _Pictures) -> pa.Table:
    ids, root = tuple(sorted(lines)), drop_uri(DROP)
    attributes = [(name, f"Value {place}") for place, name in enumerate(ATTRIBUTES)]
    same = {"drop_id": DROP, "article_type": "Shirts", "attributes": attributes, "raw_attributes": attributes}
    return _table(
        PRODUCTS,
        same,
        product_id=ids,
        display_name=[f"Turtle Check Men Shirt {one}" for one in ids],
        descriptors=[[("description", text)] for text in _prose(ids)],
        picture_uri=[f"{root}images/{one}.jpg" for one in ids],
        picture_etag=[text[:32] for text in _hashes("etag", ids)],
        picture_sha256=_pictures(ids, pictures),
        picture_phash=[text[:16] for text in _hashes("phash", ids)],
        styles_json_uri=[f"{root}styles/{one}.json" for one in ids],
        styles_json_sha256=[pictures[one][0] if one in pictures else _hash("json", one) for one in ids],
        line_number=range(2, len(ids) + 2),
        raw_line=[lines[one] for one in ids],
    )


def _train(number: int, run_id: str, ids: Sequence[str], pictures: _Pictures) -> str:
    """Leave a data set with its pairs, a training job, a model package and an endpoint config; return the last."""
    dataset_id, job = f"d{number}", f"lookbook-train-{number}"
    uri = f"{datasets.dataset_uri(dataset_id)}dataset.json"
    dataset = storage.write_json(uri, {"counts": {"train": {"pairs": len(ids)}}, "products_snapshot": "1"})
    with records.recording(TaskKey(_RETRAIN, run_id, "build_dataset")) as built:
        _replace("training.vqa_pairs", _pairs(dataset_id, ids, pictures), dataset_id)
        records.writes_object(dataset)
    store.save(built)
    arns = _in_sagemaker(number, dataset_id, job)
    for task_id, kind, name, version in (
        ("train", "training_job", job, arns["job"]),
        ("register", "model_package", get_settings().model_package_group, arns["package"]),
        ("deploy", "endpoint_config", get_settings().endpoint_name, f"config-v{number}"),
    ):
        _record(_RETRAIN, run_id, task_id, outputs=[(kind, name, version)], drop_id=None)
    store.collect(_RETRAIN, run_id)
    return f"config-v{number}"


def _in_sagemaker(number: int, dataset_id: str, job: str) -> dict[str, str]:
    """Create what a trained model leaves; the job is stopped at once, since nobody needs what it would learn."""
    sagemaker, settings = boto3.client("sagemaker"), get_settings()
    training = sagemaker.create_training_job(
        TrainingJobName=job,
        AlgorithmSpecification={"TrainingImage": settings.training_image_uri, "TrainingInputMode": "File"},
        RoleArn=settings.execution_role_arn,
        OutputDataConfig={"S3OutputPath": f"s3://{settings.bucket}/training/jobs"},
        ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    sagemaker.stop_training_job(TrainingJobName=job)
    if number == 1:
        sagemaker.create_model_package_group(ModelPackageGroupName=settings.model_package_group)
    package = sagemaker.create_model_package(
        ModelPackageGroupName=settings.model_package_group,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"dataset_id": dataset_id, "training_job": job, "gate": "passed"},
    )
    artefact = storage.write_bytes(f"s3://{settings.bucket}/models/{job}.tar.gz", b"nobody will deploy it")
    container = {"Image": settings.training_image_uri, "ModelDataUrl": artefact.uri}
    sagemaker.create_model(ModelName=job, ExecutionRoleArn=settings.execution_role_arn, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": job, "InstanceType": "ml.g4dn.xlarge", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=f"config-v{number}", ProductionVariants=[variant])
    return {"job": training["TrainingJobArn"], "package": package["ModelPackageArn"]}


def _pairs(dataset_id: str, ids: Sequence[str], pictures: _Pictures) -> pa.Table:
    asked, root, sha256 = ATTRIBUTES[:5], drop_uri(DROP), _pictures(tuple(ids), pictures)
    return _table(
        VQA_PAIRS,
        {"dataset_id": dataset_id, "drop_id": DROP},
        product_id=_each(ids, len(asked)),
        attribute=asked * len(ids),
        question=[f"What is the {attribute} of the clothing in this picture?" for attribute in asked] * len(ids),
        answer=[f"{attribute}: Value" for attribute in asked] * len(ids),
        side=_each([_SIDES[int(one) % len(_SIDES)] for one in ids], len(asked)),
        picture_uri=_each([f"{root}images/{one}.jpg" for one in ids], len(asked)),
        picture_sha256=_each(sha256, len(asked)),
    )


def _describe(number: int, run_id: str, ids: Sequence[str], snapshot: str, config: str, pictures: _Pictures) -> None:
    with records.recording(TaskKey(_DESCRIBE, run_id, "predict_attributes", drop_id=DROP)) as predicted:
        _replace("predictions.attributes", _answers(number, ids, config, pictures), DROP)
    with records.recording(TaskKey(_DESCRIBE, run_id, "shard", drop_id=DROP)) as cut:
        records.reads("table", "catalog.products", snapshot)
        records.reads("table", "predictions.attributes", tables.current_snapshot("predictions.attributes"))
    for record in (predicted, cut):
        store.save(record)
    for shard in range(-(-len(ids) // SHARD)):
        outcome = ("object", f"s3://lookbook/plans/{run_id}/results/{shard}.json", _hash(run_id, str(shard)))
        _record(_DESCRIBE, run_id, "describe_shard", outputs=[outcome], map_index=shard)
    with records.recording(TaskKey(_DESCRIBE, run_id, "publish", drop_id=DROP)) as published:
        _replace("descriptions.descriptions", _descriptions(number, run_id, ids, snapshot, config, pictures), DROP)
    store.save(published)
    for product_id in pictures:
        storage.write_json(_result_uri(number, product_id), {"product_id": product_id})
    store.collect(_DESCRIBE, run_id)


def _answers(number: int, ids: Sequence[str], config: str, pictures: _Pictures) -> pa.Table:
    asked = len(ATTRIBUTES)
    count = len(ids) * asked
    same = {"drop_id": DROP, "model_version": f"v{number}", "endpoint_config": config, "abstained": False}
    return _table(
        PREDICTED_ATTRIBUTES,
        same | {"threshold": 0.5, "attempts": 1},
        product_id=_each(ids, asked),
        attribute=ATTRIBUTES * len(ids),
        value=_each([f"Value {int(one) % 7}" for one in ids], asked),
        probability=[0.5 + (place * 7919 % 5000) / 10_000 for place in range(count)],
        question=[f"What is the {attribute} of the clothing in this picture?" for attribute in ATTRIBUTES] * len(ids),
        picture_sha256=_each(_pictures(tuple(ids), pictures), asked),
        result_uri=_each([f"s3://lookbook/predictions/{text}.json" for text in _hashes(config, tuple(ids))], asked),
        text=[f"{attribute}: Value" for attribute in ATTRIBUTES] * len(ids),
        latency_ms=[40 + place % 60 for place in range(count)],
    )


def _descriptions(
    number: int, run_id: str, ids: Sequence[str], snapshot: str, config: str, pictures: _Pictures
) -> pa.Table:
    prompt, all_ids = prompts.load(get_settings().prompt), tuple(ids)
    same = {
        "drop_id": DROP,
        "status": "published",
        "reasons": [],
        "facts": [{"attribute": name, "value": "Value", "source": "model", "probability": 0.9} for name in ATTRIBUTES],
        "differences": [],
        "prompt_version": prompt.version,
        "prompt_sha256": prompt.sha256,
        "text_model_id": get_settings().text_model_id,
        "input_tokens": 700,
        "output_tokens": 120,
        "cost_usd": 0.0005,
        "attribute_model_version": f"v{number}",
        "endpoint_config": config,
        "products_snapshot": snapshot,
        "dag_id": _DESCRIBE,
        "run_id": run_id,
        "task_id": "describe_shard",
    }
    return _table(
        DESCRIPTIONS,
        same,
        product_id=ids,
        description=_prose(all_ids),
        title=[f"Shirt {one}" for one in ids],
        input_hash=_hashes(run_id, all_ids),
        request_id=[text[:36] for text in _hashes(f"request {run_id}", all_ids)],
        picture_uri=[f"{drop_uri(DROP)}images/{one}.jpg" for one in ids],
        picture_sha256=_pictures(all_ids, pictures),
        map_index=[place // SHARD for place in range(len(ids))],
        result_uri=[_result_uri(number, one) for one in ids],
    )


def _result_uri(number: int, product_id: str) -> str:
    return f"s3://{get_settings().bucket}/descriptions/{_hash(str(number), product_id)}.json"


def _record(
    dag_id: str,
    run_id: str,
    task_id: str,
    *,
    outputs: Sequence[tuple[Any, str, str]],
    drop_id: str | None = DROP,
    map_index: int = -1,
) -> None:
    with records.recording(TaskKey(dag_id, run_id, task_id, map_index, drop_id=drop_id)) as record:
        for kind, name, version in outputs:
            records.writes(kind, name, version)
    store.save(record)


def _replace(name: str, rows: pa.Table, partition: str) -> str:
    return tables.replace(name, rows, tables.equals(TABLES[name].names[0], partition))


def _table(schema: pa.Schema, same: Mapping[str, Any], **columns: Sequence[Any]) -> pa.Table:
    """Return a table: ``same`` has columns with one value for all rows, ``columns`` those with one for each."""
    count = len(columns["product_id"])
    rows = pa.array(bytes(count), pa.int8())  # zeros, each of which stands for the one value
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.array([same.get(field.name)], field.type).take(rows)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _each(values: Sequence[str], times: int) -> list[str]:
    return [value for value in values for _ in range(times)]


@lru_cache(maxsize=1)
def _prose(ids: tuple[str, ...]) -> list[str]:
    """Return a text for each product, of 60 words."""
    words = random.Random(2)  # noqa: S311 - no secret
    return [" ".join(words.choices(_WORDS, k=60)) for _ in ids]


def _pictures(ids: tuple[str, ...], pictures: _Pictures) -> list[str]:
    made_up = _hashes("picture", ids)
    return [pictures[one][1] if one in pictures else text for one, text in zip(ids, made_up, strict=True)]


def _hashes(kind: str, ids: tuple[str, ...]) -> list[str]:
    return [_hash(kind, one) for one in ids]


def _hash(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}/{text}".encode()).hexdigest()
