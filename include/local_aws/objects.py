"""S3 as SageMaker uses it: prefixes down to directories, directories up to archives, checkpoints both ways."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws.settings import REGION

Stamp = tuple[int, int]


class ObjectsError(Exception):
    """Something in S3 is missing or unusable; the message is fit for a FailureReason."""


class Location(NamedTuple):
    """A bucket and a key or key prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Location:
        """Read ``s3://bucket/key``.

        Raises:
            ObjectsError: it isn't an S3 URI.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise ObjectsError(f"ClientError: {uri!r} is not an S3 URI like s3://bucket/prefix")
        return cls(bucket, key)


def client(service: str, url: str) -> Any:
    """Return a boto3 client for the gateway's own address, with credentials that open nothing else."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - not a secret
        config=Config(retries={"mode": "standard", "max_attempts": 3}, s3={"addressing_style": "path"}),
    )


@dataclass(frozen=True)
class Objects:
    """The S3 operations of training and hosting, over a boto3 client."""

    s3: Any

    def exists(self, uri: str) -> bool:
        """Say whether an object is there."""
        location = Location.parse(uri)
        try:
            self.s3.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def download(self, uri: str, directory: Path) -> int:
        """Copy every object under a prefix below ``directory``; return how many.

        Raises:
            ObjectsError: the bucket is missing, or a key would land outside of the directory.
        """
        prefix = Location.parse(uri)
        count = 0
        for key in self._keys(prefix):
            self._fetch(prefix.bucket, key, _target(directory, relative_key(key, prefix.key)))
            count += 1
        return count

    def read(self, uri: str) -> bytes:
        """Return an object's bytes.

        Raises:
            ObjectsError: it is missing.
        """
        location = Location.parse(uri)
        try:
            body: bytes = self.s3.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()
        except ClientError as error:
            raise ObjectsError(f"ClientError: {uri} can't be read: {error}") from error
        return body

    def write(self, uri: str, body: bytes) -> None:
        """Write an object."""
        location = Location.parse(uri)
        self.s3.put_object(Bucket=location.bucket, Key=location.key, Body=body)

    def keys(self, uri: str) -> Iterator[str]:
        """Return the keys of the objects under a prefix, directory markers left out.

        Raises:
            ObjectsError: the bucket is missing.
        """
        return self._keys(Location.parse(uri))

    def sizes(self, uri: str) -> dict[str, int]:
        """Return the bytes of each object under a prefix, by key, directory markers left out.

        Raises:
            ObjectsError: the bucket is missing.
        """
        return {item["Key"]: item["Size"] for item in self._listed(Location.parse(uri))}

    def fetch(self, uri: str, directory: Path, name: str) -> None:
        """Copy an object to a file below ``directory``.

        Raises:
            ObjectsError: it is missing, or the file would land outside of the directory.
        """
        location = Location.parse(uri)
        self._fetch(location.bucket, location.key, _target(directory, name))

    def upload(self, file: Path, uri: str) -> None:
        """Copy a file, which must not change meanwhile, to an object."""
        location = Location.parse(uri)
        with file.open("rb") as body:
            self.s3.put_object(Bucket=location.bucket, Key=location.key, Body=body)

    def upload_archive(self, directory: Path, uri: str) -> None:
        """Pack a directory's contents into one ``tar.gz`` object."""
        location = Location.parse(uri)
        with tempfile.TemporaryFile(dir=directory.parent) as file:
            # Weights hardly compress: the quickest level costs a tenth of the time and a hundredth of the size.
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
                for path in sorted(directory.iterdir()):
                    archive.add(path, arcname=path.name)
            file.seek(0)
            self.s3.put_object(Bucket=location.bucket, Key=location.key, Body=file)

    def unpack(self, uri: str, directory: Path) -> None:
        """Fetch a ``tar.gz`` object and unpack it; links and members that would land outside are refused.

        Raises:
            ObjectsError: the object is missing, isn't such an archive or holds such a member.
        """
        location = Location.parse(uri)
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory.parent, suffix=".tar.gz") as file:
            self._fetch(location.bucket, location.key, Path(file.name))
            try:
                with tarfile.open(file.name, mode="r:*") as archive:
                    archive.extractall(directory, filter="data")
            except tarfile.TarError as error:
                raise ObjectsError(f"The model archive {uri} can't be unpacked: {error}") from error

    def _keys(self, prefix: Location) -> Iterator[str]:
        return (item["Key"] for item in self._listed(prefix))

    def _listed(self, prefix: Location) -> Iterator[dict[str, Any]]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
        try:
            for page in pages:
                yield from (item for item in page.get("Contents", []) if not item["Key"].endswith("/"))
        except ClientError as error:
            raise ObjectsError(f"ClientError: s3://{prefix.bucket}/{prefix.key}: {error}") from error

    def _fetch(self, bucket: str, key: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            body = self.s3.get_object(Bucket=bucket, Key=key)["Body"]
        except ClientError as error:
            raise ObjectsError(f"ClientError: s3://{bucket}/{key} can't be read: {error}") from error
        with path.open("wb") as file:
            shutil.copyfileobj(body, file, 1 << 20)


class Mirror:
    """A directory whose changed files are copied to S3 at each call: checkpoints, while they are written.

    Args:
        objects: where to.
        directory: what to copy.
        uri: S3 prefix to copy it below.
    """

    def __init__(self, objects: Objects, directory: Path, uri: str) -> None:
        self._objects, self._directory, self._uri = objects, directory, uri.rstrip("/")
        self._sent: dict[str, Stamp] = {}

    def push(self) -> None:
        """Copy what changed since the last call; a file that is being written is left for the next one."""
        for path in sorted(self._directory.rglob("*")):
            name = path.relative_to(self._directory).as_posix()
            stamp = _stamp(path)
            if stamp and self._sent.get(name) != stamp and self._send(path, name, stamp):
                self._sent[name] = stamp

    def _send(self, path: Path, name: str, stamp: Stamp) -> bool:
        # S3 refuses a body that is no longer what its checksum was taken of: a copy can't change.
        with tempfile.NamedTemporaryFile(dir=self._directory.parent) as copy:
            try:
                shutil.copyfile(path, copy.name)
            except FileNotFoundError:  # the job rotates its checkpoints
                return False
            if _stamp(path) != stamp:
                return False
            self._objects.upload(Path(copy.name), f"{self._uri}/{name}")
        return True


def _stamp(path: Path) -> Stamp | None:
    """Return what changes when a file is written, or None if there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return (stat.st_mtime_ns, stat.st_size) if S_ISREG(stat.st_mode) else None


def relative_key(key: str, prefix: str) -> str:
    """Return what SageMaker names an object below a prefix: the rest of its key."""
    if prefix.endswith("/") or not prefix:
        return key[len(prefix) :]
    if key.startswith(prefix + "/"):
        return key[len(prefix) + 1 :]
    # The prefix ends inside a name, or is the object itself: what follows its last slash is the path.
    return key[prefix.rfind("/") + 1 :]


def _target(directory: Path, relative: str) -> Path:
    path = (directory / relative).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise ObjectsError(f"ClientError: the key {relative!r} would be written outside of the channel's directory")
    return path
