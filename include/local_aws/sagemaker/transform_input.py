"""What a transform job reads: the objects of an S3 prefix or those that a manifest names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from local_aws.objects import Location, Objects, ObjectsError, relative_key
from local_aws.state import Document


@dataclass(frozen=True)
class Input:
    """One object; ``name`` is its key from the prefix on, which its result is named by."""

    bucket: str
    key: str
    name: str


def inputs(objects: Objects, source: Document) -> list[Input]:
    """Return what an ``S3DataSource`` names, in the order in which it names it.

    Raises:
        ObjectsError: the source can't be read, or names nothing.
    """
    uri = source["S3Uri"]
    found = _of_manifest(objects, uri) if source["S3DataType"] == "ManifestFile" else _of_prefix(objects, uri)
    if not found:
        raise ObjectsError(f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source.')
    return found


def _of_prefix(objects: Objects, uri: str) -> list[Input]:
    prefix = Location.parse(uri)
    return [Input(prefix.bucket, key, relative_key(key, prefix.key)) for key in objects.keys(uri)]


def _of_manifest(objects: Objects, uri: str) -> list[Input]:
    entries = _entries(objects, uri)
    first, names = entries[0], entries[1:]
    if not isinstance(first, dict) or not isinstance(first.get("prefix"), str) or not _are_texts(names):
        raise _malformed(uri)
    prefix = Location.parse(first["prefix"])
    return [Input(prefix.bucket, prefix.key + name, name) for name in names]


def _entries(objects: Objects, uri: str) -> list[Any]:
    try:
        entries = json.loads(objects.read(uri))
    except ValueError as error:
        raise _malformed(uri) from error
    if not isinstance(entries, list) or not entries:
        raise _malformed(uri)
    return entries


def _are_texts(names: list[Any]) -> bool:
    return all(isinstance(name, str) for name in names)


def _malformed(uri: str) -> ObjectsError:
    return ObjectsError(
        f'ClientError: The manifest {uri} is not a JSON list like [{{"prefix": "s3://bucket/prefix/"}}, "key", …].'
    )
