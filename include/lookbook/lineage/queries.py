"""Where did this description come from? Answered from the tables, S3 and SageMaker as they are now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError
from pyiceberg.expressions import And, BooleanExpression, IsNull, Or, Reference

from lookbook import storage
from lookbook.aws import client
from lookbook.catalog import tables
from lookbook.descriptions import prompts
from lookbook.drops import discovery
from lookbook.errors import PermanentError
from lookbook.lineage.chain import Chain, Link, TaskInstance
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook.vqa import datasets

Row = Mapping[str, Any]

_INGESTING = ("read", "requeue", "validate", "publish")  # tasks of ingest_drop and requeue_drop that make a product


def chain(product_id: str, drop_id: str | None = None) -> Chain:
    """Follow a description of a product back to its picture, its row, its prompt and its model.

    Links that no longer resolve are part of the chain, with what is wrong: it is for finding out, so it doesn't fail.

    Args:
        product_id: the product.
        drop_id: in which drop it was described; none means the newest.

    Raises:
        PermanentError: the product has no description there, published or not.
    """
    of_product: BooleanExpression = tables.equals("product_id", product_id)
    wanted = And(tables.equals("drop_id", drop_id), of_product) if drop_id else of_product
    rows = tables.read("descriptions.descriptions", wanted).to_pylist()
    if not rows:
        where = f" in drop {drop_id}" if drop_id else ""
        raise PermanentError(f"Product {product_id} has no description{where}. Run describe_products for its drop.")
    return Chain(product_id, _description(max(rows, key=lambda row: row["drop_id"])))


class _Runs:
    """The lineage records that a description's chain can lead to: those of its drop, and those of no drop."""

    def __init__(self, drop_id: str) -> None:
        of_no_drop = IsNull(term=Reference("drop_id"))
        rows = tables.read("lineage.runs", Or(tables.equals("drop_id", drop_id), of_no_drop)).to_pylist()
        self._rows = sorted(rows, key=lambda row: row["finished_at"])

    def tasks_of(self, row: Row, *task_ids: str) -> tuple[TaskInstance, ...]:
        """Return the unmapped tasks of a name in the run that ``row`` names."""
        of_run = (found for found in self._rows if _same(found, row, "dag_id", "run_id"))
        return tuple(_instance(found) for found in of_run if found["task_id"] in task_ids)

    def describing(self, row: Row) -> TaskInstance:
        """Return the task instance that a description names, with its record if it left one."""
        keys = ("dag_id", "run_id", "task_id", "map_index")
        found = next((found for found in self._rows if _same(found, row, *keys)), {**row, "finished_at": None})
        return _instance(found)

    def makers(self, kind: str, matches: Callable[[Row], bool], before: Any = None) -> tuple[TaskInstance, ...]:
        """Return the last task, if any, that wrote a dataset of ``kind`` that ``matches``."""
        rows = [
            row
            for row in self._rows
            if any(output["kind"] == kind and matches(output) for output in row["outputs"])
            and (before is None or row["finished_at"] <= before)
        ]
        return tuple(_instance(row) for row in rows[-1:])

    def began(self, row: Row) -> Any:
        """Return when the run that ``row`` names began its first recorded task, ``None`` without a record."""
        return min((found["started_at"] for found in self._rows if _same(found, row, "dag_id", "run_id")), default=None)

    def snapshot_read(self, row: Row, table: str) -> str | None:
        """Return the last version of a table that the run that ``row`` names read, ``None`` without a record."""
        of_run = (found for found in self._rows if _same(found, row, "dag_id", "run_id"))
        versions = [read["version"] for found in of_run for read in found["inputs"] if read["name"] == table]
        return versions[-1] if versions else None


def _description(row: Row) -> Link:
    runs = _Runs(row["drop_id"])
    sources = [_request(row), _prompt(row), _facts(row), _predictions(row, runs), _product(row, runs)]
    stored = storage.find(row["result_uri"]) if row["result_uri"] else None
    return Link(
        kind="description",
        name=f"product {row['product_id']} of drop {row['drop_id']}",
        version=row["input_hash"],
        details=_stated(
            status=row["status"],
            reasons="; ".join(row["reasons"] or ()),
            review=_review(row),
            text=row["description"],
            result=row["result_uri"],
        ),
        tasks=(runs.describing(row), *runs.tasks_of(row, "publish")) if row["run_id"] else (),
        problem=f"{row['result_uri']} is gone" if row["result_uri"] and not stored else None,
        sources=tuple(source for source in sources if source),
    )


def _review(row: Row) -> str | None:
    """Say what a person decided, who it was and when, and whether the text is theirs."""
    if not row["review"]:
        return None
    edited = ", who edited the text" if row["edited"] else ""
    why = f": {row['review_reason']}" if row["review_reason"] else ""
    return f"{row['review']} by {row['reviewed_by']}{edited} ({row['reviewed_at']:%Y-%m-%d %H:%M} UTC){why}"


def _request(row: Row) -> Link | None:
    if not row["request_id"]:
        return None
    tokens = f"{row['input_tokens']} in, {row['output_tokens']} out"
    cost = "no list price" if row["cost_usd"] is None else f"{row['cost_usd']:.6f} USD"
    return Link("request", row["text_model_id"], row["request_id"], {"tokens": tokens, "cost": cost})


def _prompt(row: Row) -> Link:
    try:
        known = prompts.load(row["prompt_version"]).sha256
    except PermanentError as error:
        return Link("prompt", row["prompt_version"], row["prompt_sha256"], problem=str(error))
    problem = None if known == row["prompt_sha256"] else f"the installed version's checksum is {known}"
    return Link("prompt", row["prompt_version"], row["prompt_sha256"], problem=problem)


def _facts(row: Row) -> Link:
    details = {fact["attribute"]: _sourced(fact, row) for fact in row["facts"]}
    for difference in row["differences"]:
        details[f"difference in {difference['attribute']}"] = (
            f"catalogue {difference['catalogue_value']}, model {difference['model_value']} "
            f"(probability {difference['probability']:.3f})"
        )
    return Link("facts", f"{len(row['facts'])} stated", details=details)


def _sourced(fact: Row, row: Row) -> str:
    if fact["source"] == "catalogue":
        return f"{fact['value']} (catalogue)"
    return f"{fact['value']} (model {row['attribute_model_version']}, probability {fact['probability']:.3f})"


def _predictions(row: Row, runs: _Runs) -> Link | None:
    version = row["attribute_model_version"]
    if version is None:
        return None
    of_product = And(tables.equals("drop_id", row["drop_id"]), tables.equals("product_id", row["product_id"]))
    # A later model's answers replace these, so they are read at the version that the run saw.
    read = _at_snapshot("predictions.attributes", of_product, runs.snapshot_read(row, "predictions.attributes"))
    answers = [answer for answer in read if answer["model_version"] == version]
    return Link(
        kind="attribute predictions",
        name=f"model {version}",
        version=answers[0]["result_uri"] if answers else None,
        details={answer["attribute"]: _answer(answer) for answer in answers},
        tasks=runs.tasks_of(row, "predict_attributes"),
        problem=None if answers else "predictions.attributes no longer has its answers",
        sources=(_answering(row, answers, runs), _model_package(version, runs)),
    )


def _answer(answer: Row) -> str:
    if answer["value"] is None:
        return f"abstained (probability {answer['probability']:.3f})" if answer["abstained"] else "no answer"
    return f"{answer['value']} (probability {answer['probability']:.3f})"


def _answering(row: Row, answers: Sequence[Row], runs: _Runs) -> Link:
    """Return what the model answered behind: an endpoint, or a batch transform job."""
    jobs = [answer["transform_job"] for answer in answers if answer["transform_job"]]
    return _endpoint_config(row, runs) if row["endpoint_config"] or not jobs else _transform_job(jobs[0], runs)


def _transform_job(name: str, runs: _Runs) -> Link:
    found = _sagemaker("describe_transform_job", TransformJobName=name)
    return Link(
        kind="transform job",
        name=name,
        version=found["TransformJobArn"] if found else None,
        tasks=runs.makers("transform_job", lambda output: output["name"] == name),
        problem=None if found else "SageMaker has no such transform job",
    )


def _endpoint_config(row: Row, runs: _Runs) -> Link:
    name = row["endpoint_config"]
    found = _sagemaker("describe_endpoint_config", EndpointConfigName=name)
    return Link(
        kind="endpoint config",
        name=name,
        version=found["EndpointConfigArn"] if found else None,
        tasks=runs.makers("endpoint_config", lambda output: output["version"] == name),
        problem=None if found else "SageMaker has no such endpoint config",
    )


def _model_package(version: str, runs: _Runs) -> Link:
    package = _package(version)
    if package is None:
        return Link("model package", version, problem="the registry has no such version")
    arn, metadata = package["ModelPackageArn"], package.get("CustomerMetadataProperties", {})
    told = {
        name: value
        for name, value in metadata.items()
        if name.startswith("exact_match_") or name in ("gate", "promoted_by", "promoted_because", "evaluation_page")
    }
    return Link(
        kind="model package",
        name=f"{package['ModelPackageGroupName']} {version}",
        version=arn,
        details={"approval": package["ModelApprovalStatus"], **told},
        tasks=runs.makers("model_package", lambda output: output["version"] == arn),
        sources=(_training_job(metadata["training_job"], _dataset(metadata["dataset_id"], runs), runs),),
    )


def _package(version: str) -> dict[str, Any] | None:
    """Return the package that the registry's group has under ``version`` (``v3``)."""
    pages = client("sagemaker").get_paginator("list_model_packages")
    for page in pages.paginate(ModelPackageGroupName=get_settings().model_package_group):
        for package in page["ModelPackageSummaryList"]:
            if registry.version_of(package["ModelPackageArn"]) == version:
                return registry.describe(package["ModelPackageArn"])
    return None


def _training_job(name: str, dataset: Link, runs: _Runs) -> Link:
    job = _sagemaker("describe_training_job", TrainingJobName=name)
    return Link(
        kind="training job",
        name=name,
        version=job["TrainingJobArn"] if job else None,
        details=_stated(artefact=job["ModelArtifacts"]["S3ModelArtifacts"]) if job else {},
        tasks=runs.makers("training_job", lambda output: output["name"] == name),
        problem=None if job else "SageMaker has no such training job",
        sources=(dataset,),
    )


def _dataset(dataset_id: str, runs: _Runs) -> Link:
    uri = f"{datasets.dataset_uri(dataset_id)}dataset.json"
    stored = storage.find(uri)
    content = storage.read_json(uri) if stored else {}
    sides = {side: f"{counts['pairs']} pairs" for side, counts in content.get("counts", {}).items()}
    return Link(
        kind="data set",
        name=dataset_id,
        version=stored.etag if stored else None,
        details=_stated(uri=uri, products_snapshot=content.get("products_snapshot")) | sides,
        tasks=runs.makers("object", lambda output: output["name"] == uri),
        problem=None if stored else f"{uri} is gone",
    )


def _product(row: Row, runs: _Runs) -> Link:
    snapshot, drop_id = row["products_snapshot"], row["drop_id"]
    of_product = And(tables.equals("drop_id", drop_id), tables.equals("product_id", row["product_id"]))
    found = _at_snapshot("catalog.products", of_product, snapshot)
    if not found:
        return Link("product", row["product_id"], snapshot, problem="catalog.products no longer has this version of it")
    product = found[0]
    publishing = runs.makers("table", lambda output: output["name"] == "catalog.products", runs.began(row))
    ingest = [task for maker in publishing for task in runs.tasks_of(vars(maker), *_INGESTING)]
    return Link(
        kind="product",
        name=f"catalog.products {row['product_id']} of drop {drop_id}",
        version=snapshot,
        details=_stated(name=product["display_name"]),
        tasks=tuple(ingest),
        sources=(_line(product), *_mended_row(product), _styles_json(product), _picture(product, row)),
    )


def _at_snapshot(name: str, row_filter: BooleanExpression, snapshot: str | None) -> list[dict[str, Any]]:
    """Read rows as they were, or as they are if no version is known; none of a version that has expired."""
    known = {str(entry.snapshot_id) for entry in tables.load(name).metadata.snapshots}
    if snapshot is not None and snapshot not in known:
        return []
    rows: list[dict[str, Any]] = tables.read(name, row_filter, snapshot=snapshot).to_pylist()
    return rows


def _line(product: Row) -> Link:
    uri = f"{discovery.drop_uri(product['drop_id'])}styles.csv"
    stored = storage.find(uri)
    return Link(
        kind="row",
        name=f"{uri} line {product['line_number']}",
        version=stored.etag if stored else None,
        details={"line": product["raw_line"]},
        problem=None if stored else f"{uri} is gone",
    )


def _mended_row(product: Row) -> tuple[Link, ...]:
    """Return what somebody made of the line by hand, if anybody did."""
    mending = product["mending"]
    if mending is None:
        return ()
    return (
        Link(
            kind="mended row",
            name=f"{mending['uri']} line_number {product['line_number']}",
            version=f"sha256 {mending['sha256']}",
            details={"line": mending["line"], "mended": ", ".join(mending["fields"])},
            problem=_changed(mending["uri"], mending["sha256"]),
        ),
    )


def _styles_json(product: Row) -> Link:
    uri, expected = product["styles_json_uri"], product["styles_json_sha256"]
    if uri is None:
        return Link("styles JSON", "none in the drop")
    return Link("styles JSON", uri, expected, problem=_changed(uri, expected))


def _picture(product: Row, row: Row) -> Link:
    uri, expected = product["picture_uri"], row["picture_sha256"]
    if uri is None:
        return Link("picture", "none in the drop")
    problem = _changed(uri, expected)
    return Link(
        kind="picture",
        name=uri,
        version=f"sha256 {expected}",
        details={"etag": product["picture_etag"], "checksum in S3 now": problem or "matches"},
        problem=problem,
    )


def _changed(uri: str, expected: str | None) -> str | None:
    """Compare an object's checksum with the one that was recorded; return what is wrong with it."""
    try:
        now = hashlib.sha256(storage.read_bytes(uri)).hexdigest()
    except storage.ObjectNotFoundError:
        return f"{uri} is gone"
    return None if now == expected else f"its sha256 is {now} now, not {expected}"


def _sagemaker(operation: str, **arguments: str) -> dict[str, Any] | None:
    """Describe a SageMaker resource; ``None`` when there is none of the name."""
    try:
        described: dict[str, Any] = getattr(client("sagemaker"), operation)(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            return None
        raise
    return described


def _instance(row: Row) -> TaskInstance:
    finished = row["finished_at"].isoformat() if row["finished_at"] else None
    return TaskInstance(row["dag_id"], row["run_id"], row["task_id"], row["map_index"], finished)


def _same(one: Row, other: Row, *columns: str) -> bool:
    return all(one[column] == other[column] for column in columns)


def _stated(**details: Any) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value}
