"""Which image a training job runs: its tag is resolved to a digest before anything is paid for.

A tag may move between training, evaluation and serving; a digest can't, so the three run the same code, and the model
package says which.
"""

from __future__ import annotations

import re

from botocore.exceptions import ClientError

from lookbook.aws import client
from lookbook.errors import PermanentError

_IN_ECR = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?)/"
    r"(?P<repository>[a-z0-9._/-]+)(?::(?P<tag>[\w.-]{1,128}))?"
)
_NOT_THERE = ("ImageNotFoundException", "RepositoryNotFoundException")


class ImageError(PermanentError):
    """The training image is not there, or its digest may not be asked for."""


def pinned(uri: str) -> str:
    """Return an image's URI with its digest: ``<registry>/<repository>@sha256:…``.

    One that has a digest comes back as it is, and so does one that is not in ECR, such as local AWS's.

    Raises:
        ImageError: ECR has no such image, or refuses to say.
    """
    found = _IN_ECR.fullmatch(uri)
    if found is None:
        return uri
    return f"{found['registry']}/{found['repository']}@{_digest(uri, found)}"


def _digest(uri: str, found: re.Match[str]) -> str:
    try:
        described = client("ecr").describe_images(
            registryId=found["account"],
            repositoryName=found["repository"],
            imageIds=[{"imageTag": found["tag"] or "latest"}],
        )
    except ClientError as error:
        raise ImageError(_refusal(uri, error)) from error
    digest: str = described["imageDetails"][0]["imageDigest"]
    return digest


def _refusal(uri: str, error: ClientError) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if code in _NOT_THERE:
        return f"There is no image {uri} ({message}). Push it, or mend LOOKBOOK_TRAINING_IMAGE_URI."
    return (
        f"The digest of {uri} cannot be told: {code}: {message}. Allow Airflow's role ecr:DescribeImages, or set "
        "LOOKBOOK_TRAINING_IMAGE_URI with @sha256:…"
    )
