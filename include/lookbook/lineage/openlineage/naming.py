"""What a dataset of a lineage record is called in OpenLineage: a namespace, and a name within it.

The names follow OpenLineage's naming specification (https://openlineage.io/docs/spec/naming): ``s3://<bucket>`` and the
key for objects. It has no scheme for Iceberg tables of any catalogue, nor for SageMaker and Bedrock: tables are named
in their warehouse, as OpenLineage's Spark integration does, models in ``<scheme>://<the service's host>``, as the
specification does for Athena. No namespace has a colon but that of its scheme and no name begins with a digit, for
Marquez splits its ids at colons.

Files that belong together are one dataset: a folder, whose versions are what lies in it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lookbook.catalog.publishing import drop_of_branch
from lookbook.lineage.records import Dataset
from lookbook.settings import get_settings
from lookbook.storage import split_uri

AUDIT = "audit"
_FILES = {"object", "prefix", "model_artifact"}
# Folders of which each task instance or each product has a file of its own.
_FOLDERS = re.compile(
    r"(?P<folder>training/datasets/[^/]+|plans/[^/]+/(?:items|results)|descriptions/[^/]+|predictions/[^/]+"
    r"|batches/[^/]+/[^/]+|transforms/[^/]+|serving/shadow/[^/]+|reviews/[^/]+|exports/[^/]+)(?:/.*)?"
)
_DROP = re.compile(r"drops/(?P<drop>[^/]+)")


class Identity(NamedTuple):
    """A dataset's namespace and its name there; the two together are unique in the world."""

    namespace: str
    name: str


def identity(dataset: Dataset) -> Identity | None:
    """Return what a dataset is called; ``None`` for what is no dataset: a job, a request, an image, a validation."""
    if dataset.kind in _FILES:
        return file(dataset.name)
    match dataset.kind:
        case "table":
            return table(dataset.name)
        case "model_package":
            return Identity(_sagemaker(dataset.version), f"model-package-group/{dataset.name}")
        case "endpoint_config":
            return Identity(_sagemaker(get_settings().execution_role_arn), f"endpoint/{dataset.name}")
        case "text_model":
            return Identity(f"awsbedrock://bedrock.{get_settings().aws_region}.amazonaws.com", f"model/{dataset.name}")
        case "prompt":
            return Identity("lookbook://prompts", dataset.name)
        case _:
            return None


def file(uri: str) -> Identity:
    """Return what an object or a folder in S3 is called."""
    bucket, key = split_uri(uri)
    folder = _FOLDERS.fullmatch(key.rstrip("/"))
    return Identity(f"s3://{bucket}", folder["folder"] if folder else key.rstrip("/"))


def table(name: str) -> Identity:
    """Return what a table, or the audit branch of one (``catalog.products@audit-2026-11-16``), is called.

    The audit branches of all drops are one dataset: a branch lives for the hour between two tasks.
    """
    base, _, branch = name.partition("@")
    is_audit = drop_of_branch(branch) is not None
    return Identity(f"s3://{get_settings().bucket}/warehouse", f"{base}@{AUDIT}" if is_audit else name)


def dropped(uri: str) -> str | None:
    """Return the drop whose folder ``uri`` is, ``None`` for any other place."""
    found = _DROP.fullmatch(split_uri(uri)[1].rstrip("/"))
    return found["drop"] if found else None


def _sagemaker(arn: str) -> str:
    """Return the namespace of SageMaker's things in the account that an ARN names."""
    account = arn.split(":")[4]
    return f"awssagemaker://{account}.sagemaker.{get_settings().aws_region}.amazonaws.com"
