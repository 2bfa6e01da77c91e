"""Proof that a deployment took place: the endpoint has the config asked for, and the new model answers."""

from __future__ import annotations

import io
import logging
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError
from PIL import Image

from lookbook.aws import client
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.serving import invocation
from lookbook.settings import get_settings
from lookbook.training import registry

log = logging.getLogger(__name__)

_SMOKE_ATTRIBUTES = ("baseColour",)
_SMOKE_SIZE = (64, 64)  # pixels


@dataclass(frozen=True)
class Verified:
    """An endpoint that was seen to answer with the version that was deployed."""

    endpoint_name: str
    endpoint_config: str
    model_version: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def verify(endpoint_config: str, package_arn: str) -> Verified:
    """Check that the endpoint serves a config and that the package's version answers a question about a picture.

    SageMaker returns an endpoint to ``InService`` with its **old** config when an update fails; that is a failure
    here, with SageMaker's reason.

    Raises:
        PermanentError: the endpoint serves another config or version, or refuses the question.
        RetryableError: it does not answer now.
    """
    name = get_settings().endpoint_name
    _check_config(name, endpoint_config)
    expected, answering = registry.version_of(package_arn), _answering_version(name)
    if answering != expected:
        raise PermanentError(
            f"Endpoint {name} has config {endpoint_config}, but model version {answering} answers, expected {expected}."
        )
    records.reads("endpoint_config", name, endpoint_config)
    records.details(model_version=answering)
    log.info("Endpoint %s serves %s, and %s answers.", name, endpoint_config, answering)
    return Verified(name, endpoint_config, answering)


def smoke_picture() -> bytes:
    """Return a plain picture, which any model can say something about."""
    sink = io.BytesIO()
    Image.new("RGB", _SMOKE_SIZE, "navy").save(sink, "JPEG")
    return sink.getvalue()


def _check_config(name: str, expected: str) -> None:
    endpoint = registry.describe_endpoint(name)
    if endpoint is None:
        raise PermanentError(f"There is no endpoint {name}, expected one with config {expected}. Clear `deploy`.")
    status, config = endpoint["EndpointStatus"], endpoint["EndpointConfigName"]
    if status != "InService" or config != expected:
        raise PermanentError(
            f"Endpoint {name} is {status} with config {config}, expected InService with "
            f"{expected}. Reason: {endpoint.get('FailureReason', 'none given')}. See the endpoint's log."
        )


def _answering_version(endpoint: str) -> str:
    body = invocation.request_body(smoke_picture(), _SMOKE_ATTRIBUTES)
    try:
        response = client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, ContentType="application/json", Accept="application/json", Body=body
        )
    except (ClientError, HTTPClientError) as error:
        raise _failure(endpoint, error) from error
    return invocation.read_answers(response["Body"].read(), _SMOKE_ATTRIBUTES).model_version


def _failure(endpoint: str, error: ClientError | HTTPClientError) -> PermanentError | RetryableError:
    try:
        return RetryableError(f"Endpoint {endpoint} does not answer: {invocation.passing_reason(error)}")
    except invocation.RefusedError as refusal:
        return PermanentError(f"Endpoint {endpoint} refuses a plain picture: {refusal}. Its image is broken.")
