"""Objects in S3: read, write, write once, list. Every write returns the version that lineage records."""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from botocore.exceptions import ClientError

from lookbook.aws import client, object_store
from lookbook.errors import PermanentError, RetryableError

_ABSENT = {"404", "NoSuchKey", "NotFound"}
_EXISTS = {"PreconditionFailed", "412"}
_UPDATE_ATTEMPTS = 10
_LONGEST_WAIT_S = 1.0


@dataclass(frozen=True)
class StoredObject:
    """One object as stored: where, which version, how large (bytes); ``sha256`` where this process wrote or read it."""

    uri: str
    etag: str
    size: int
    sha256: str | None = None


class ObjectNotFoundError(PermanentError):
    """Nothing is stored under the URI."""


def split_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` into bucket and key.

    Raises:
        PermanentError: the text is no S3 URI.
    """
    bucket, slash, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not slash:
        raise PermanentError(f"{uri!r} is no S3 URI. Expected s3://<bucket>/<key>.")
    return bucket, key


def key_part(text: str) -> str:
    """Return ``text`` fit for one part of a key, still one to one: what had to be changed gets a checksum."""
    safe = re.sub(r"[^A-Za-z0-9._=-]", "_", text)
    return safe if safe == text else f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def read_bytes(uri: str) -> bytes:
    """Return an object's content.

    Raises:
        ObjectNotFoundError: nothing is stored there.
    """
    bucket, key = split_uri(uri)
    try:
        body: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            raise ObjectNotFoundError(f"{uri} does not exist.") from error
        raise
    return body


def read_all(uris: Sequence[str], at_once: int = 32) -> Iterator[bytes | None]:
    """Yield each object's content in the order of ``uris``, ``None`` where nothing is stored, some fetched ahead.

    For objects by the thousand: it takes a fraction of what :func:`read_bytes` takes for each.

    Args:
        uris: of the objects.
        at_once: how many are in flight or wait to be taken; it bounds the memory.

    Raises:
        RetryableError: one could not be fetched, after several attempts.
    """
    with ThreadPoolExecutor(at_once) as pool:
        ahead: deque[Future[bytes | None]] = deque()
        for uri in uris:
            if len(ahead) == at_once:
                yield ahead.popleft().result()
            ahead.append(pool.submit(_fetched, uri))
        while ahead:
            yield ahead.popleft().result()


def fetch(uri: str) -> tuple[bytes, StoredObject] | None:
    """Return an object's content and version, ``None`` where nothing is stored; it takes a fraction of boto3's time.

    Raises:
        RetryableError: it could not be fetched, after several attempts.
    """
    import obstore  # here, as few tasks read objects by the thousand
    from obstore.exceptions import BaseError

    bucket, key = split_uri(uri)
    try:
        got = obstore.get(object_store(f"s3://{bucket}/"), key)
        return bytes(got.bytes()), _found(uri, got.meta)
    except FileNotFoundError:
        return None
    except BaseError as error:
        raise RetryableError(f"{uri} could not be read: {error}") from error


def look(uri: str) -> StoredObject | None:
    """Return an object's version as :func:`find` does, in a fraction of its time.

    Raises:
        RetryableError: S3 doesn't answer.
    """
    import obstore
    from obstore.exceptions import BaseError

    bucket, key = split_uri(uri)
    try:
        return _found(uri, obstore.head(object_store(f"s3://{bucket}/"), key))
    except FileNotFoundError:
        return None
    except BaseError as error:
        raise RetryableError(f"{uri} could not be found: {error}") from error


def _found(uri: str, meta: Mapping[str, Any]) -> StoredObject:
    return StoredObject(uri, str(meta["e_tag"]).strip('"'), int(meta["size"]))


def _fetched(uri: str) -> bytes | None:
    got = fetch(uri)
    return got[0] if got else None


async def read_bytes_async(uri: str) -> bytes | None:
    """Return an object's content, ``None`` where nothing is stored; for coroutines that read many, as :func:`read_all`.

    Raises:
        RetryableError: it could not be fetched, after several attempts.
    """
    import obstore
    from obstore.exceptions import BaseError

    bucket, key = split_uri(uri)
    try:
        return bytes(await (await obstore.get_async(object_store(f"s3://{bucket}/"), key)).bytes_async())
    except FileNotFoundError:
        return None
    except BaseError as error:
        raise RetryableError(f"{uri} could not be read: {error}") from error


async def write_once_async(uri: str, content: bytes) -> bool:
    """Store JSON only if nothing is there yet, as :func:`write_once` does; say whether it was stored.

    Raises:
        RetryableError: it could not be stored, after several attempts.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError

    bucket, key = split_uri(uri)
    store, attributes = object_store(f"s3://{bucket}/"), {"Content-Type": "application/json"}
    try:
        await obstore.put_async(store, key, content, attributes=attributes, mode="create", use_multipart=False)
    except AlreadyExistsError:
        return False
    except BaseError as error:
        raise RetryableError(f"{uri} could not be stored: {error}") from error
    return True


def read_json(uri: str) -> Any:
    """Return an object's content parsed as JSON."""
    return orjson.loads(read_bytes(uri))


def write_bytes(uri: str, content: bytes, content_type: str = "application/octet-stream") -> StoredObject:
    """Store ``content``, replacing what was there, and return its version."""
    bucket, key = split_uri(uri)
    answer = client("s3").put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)
    return _stored(uri, answer["ETag"], content)


def write_json(uri: str, value: Any) -> StoredObject:
    """Store ``value`` as JSON with sorted keys, so that equal values give equal checksums."""
    return write_bytes(uri, orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2), "application/json")


def write_once(uri: str, content: bytes, content_type: str = "application/json") -> StoredObject | None:
    """Store ``content`` only if nothing is there yet; return ``None`` when somebody was first."""
    bucket, key = split_uri(uri)
    try:
        answer = client("s3").put_object(
            Bucket=bucket, Key=key, Body=content, ContentType=content_type, IfNoneMatch="*"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _EXISTS:
            return None
        raise
    return _stored(uri, answer["ETag"], content)


def replace_version(uri: str, content: bytes, etag: str) -> StoredObject | None:
    """Store ``content`` only in place of the version ``etag``; return ``None`` when that is no longer the one there."""
    bucket, key = split_uri(uri)
    try:
        answer = client("s3").put_object(Bucket=bucket, Key=key, Body=content, IfMatch=f'"{etag}"')
    except ClientError as error:
        if error.response["Error"]["Code"] in _EXISTS | _ABSENT | {"ConditionalRequestConflict"}:
            return None
        raise
    return _stored(uri, answer["ETag"], content)


def read_version(uri: str) -> tuple[bytes, str] | None:
    """Return an object's content with the ETag of that very version, or ``None`` when nothing is stored there."""
    bucket, key = split_uri(uri)
    try:
        answer = client("s3").get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    return answer["Body"].read(), answer["ETag"].strip('"')


def update_json(uri: str, change: Callable[[Any], Any]) -> Any:
    """Replace an object's JSON by what ``change`` makes of it, and return that; no other writer's change is lost.

    Args:
        uri: of the object.
        change: is given the value, ``None`` where nothing is stored; called again when another writer was faster.

    Raises:
        RetryableError: others were faster every time.
    """
    for attempt in range(_UPDATE_ATTEMPTS):
        found = read_version(uri)
        value = change(orjson.loads(found[0]) if found else None)
        content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        if replace_version(uri, content, found[1]) if found else write_once(uri, content):
            return value
        time.sleep(random.uniform(0, _LONGEST_WAIT_S * (attempt + 1) / _UPDATE_ATTEMPTS))  # noqa: S311 - spreads writers
    raise RetryableError(f"{uri} could not be updated: other writers were faster {_UPDATE_ATTEMPTS} times.")


def find(uri: str) -> StoredObject | None:
    """Return the object's version, or ``None`` when nothing is stored there."""
    bucket, key = split_uri(uri)
    try:
        head = client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    return StoredObject(uri, head["ETag"].strip('"'), head["ContentLength"])


def list_objects(prefix_uri: str) -> Iterator[StoredObject]:
    """Yield every object under a prefix in key order."""
    return (stored for stored, _ in list_dated(prefix_uri))


def list_dated(prefix_uri: str) -> Iterator[tuple[StoredObject, datetime]]:
    """Yield every object under a prefix in key order, with the time it was written."""
    bucket, prefix = split_uri(prefix_uri)
    for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            stored = StoredObject(f"s3://{bucket}/{item['Key']}", item["ETag"].strip('"'), item["Size"])
            yield stored, item["LastModified"]


def last_change(prefix_uri: str) -> datetime | None:
    """Return when an object under the prefix was last written, or ``None`` when there is none."""
    return max((written for _, written in list_dated(prefix_uri)), default=None)


def delete(uri: str) -> None:
    """Delete an object; deleting what is not there is no error."""
    bucket, key = split_uri(uri)
    client("s3").delete_object(Bucket=bucket, Key=key)


def delete_others(prefix_uri: str, names: Container[str]) -> None:
    """Delete every object under a prefix whose key, after the prefix, is not among ``names``."""
    for stored in list_objects(prefix_uri):
        if stored.uri.removeprefix(prefix_uri) not in names:
            delete(stored.uri)


def _stored(uri: str, etag: str, content: bytes) -> StoredObject:
    return StoredObject(uri, etag.strip('"'), len(content), hashlib.sha256(content).hexdigest())
