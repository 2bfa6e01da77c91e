from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from lookbook import aws
from lookbook.training import images
from lookbook.training.images import ImageError

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/lookbook-training"


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """ECR, its requests and answers checked against botocore's model of the service."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    aws.client.cache_clear()
    with Stubber(aws.client("ecr")) as stubber:
        yield stubber
    aws.client.cache_clear()


def asked(tag: str) -> dict[str, Any]:
    return {
        "registryId": "123456789012",
        "repositoryName": "shop/lookbook-training",
        "imageIds": [{"imageTag": tag}],
    }


@pytest.mark.parametrize(("uri", "tag"), [(f"{REPOSITORY}:weekly", "weekly"), (REPOSITORY, "latest")])
def test_a_tag_becomes_the_digest_that_it_stands_for_now(ecr: Stubber, uri: str, tag: str) -> None:
    ecr.add_response("describe_images", {"imageDetails": [{"imageDigest": DIGEST}]}, asked(tag))
    assert images.pinned(uri) == f"{REPOSITORY}@{DIGEST}"


@pytest.mark.parametrize("uri", ["lookbook-training:local", f"{REPOSITORY}@{DIGEST}", "ghcr.io/shop/training:1"])
def test_what_has_a_digest_or_is_not_in_ecr_stays_as_it_is(ecr: Stubber, uri: str) -> None:
    assert images.pinned(uri) == uri


@pytest.mark.parametrize(
    ("code", "advice"), [("ImageNotFoundException", "Push it"), ("AccessDeniedException", "ecr:DescribeImages")]
)
def test_an_image_that_cannot_be_resolved_is_a_clear_error(ecr: Stubber, code: str, advice: str) -> None:
    ecr.add_client_error("describe_images", code)
    with pytest.raises(ImageError, match=advice):
        images.pinned(f"{REPOSITORY}:gone")
