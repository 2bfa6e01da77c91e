"""One call to a Bedrock model through the Converse API, and what kind of failure each failure is.

Trying again is :mod:`lookbook.descriptions.asking`'s.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    ParamValidationError,
)
from botocore.parsers import ResponseParserError

from lookbook.descriptions.conversation import Reply, reply_of
from lookbook.descriptions.cost import caches_prompts
from lookbook.errors import PermanentError, RetryableError

_THROTTLES = {"ThrottlingException", "TooManyRequestsException"}
_RETRYABLE_CODES = {
    "ServiceUnavailableException",
    "InternalServerException",
    "ModelTimeoutException",
    "ModelNotReadyException",
    "ModelErrorException",
}
# Of the model, not of the request: another model may well do what was asked.
_MODEL_REFUSED_CODES = {"AccessDeniedException", "ResourceNotFoundException"}


class ThrottledError(RetryableError):
    """The call was one too many; ``retry_after_s`` is for how long the service wants none, where it says so."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelRefusedError(PermanentError):
    """The account may not use the model, or there is no such model in the region."""


async def converse(client: Any, model_id: str, request: Mapping[str, Any]) -> Reply:
    """Ask a model once to continue a conversation.

    Args:
        client: an aiobotocore client of ``bedrock-runtime``, made with ``attempts=1``.
        model_id: a model id or inference profile.
        request: of :func:`lookbook.descriptions.conversation.request_of`.

    Raises:
        ModelRefusedError: access denied, unknown model.
        PermanentError: the request was refused otherwise.
        ThrottledError: the call was one too many.
        RetryableError: there was no answer, or none that is one.
    """
    try:
        answer = await client.converse(modelId=model_id, **_as_accepted_by(model_id, request))
    except ClientError as error:
        raise _translated(error, model_id) from error
    except ParamValidationError as error:
        raise PermanentError(f"The request to Bedrock model {model_id} is invalid: {error}") from error
    except (ConnectionError, HTTPClientError, ResponseParserError, aiohttp.ClientError) as error:
        raise RetryableError(f"Bedrock did not answer properly ({type(error).__name__}: {error}).") from error
    except BotoCoreError as error:
        raise PermanentError(f"Bedrock cannot be called: {error} Check credentials and AWS_ENDPOINT_URL.") from error
    return reply_of(answer)


def _as_accepted_by(model_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request without cache points where the model has no cache: AWS refuses them with 403 or 400."""
    if caches_prompts(model_id):
        return dict(request)
    return {**request, "system": [block for block in request.get("system", ()) if "cachePoint" not in block]}


def _translated(error: ClientError, model_id: str) -> PermanentError | RetryableError:
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    text = f"Bedrock model {model_id}: {code} ({status}): {error.response['Error']['Message']}"
    if code in _THROTTLES or status == 429:
        return ThrottledError(text, _retry_after_s(error.response["ResponseMetadata"].get("HTTPHeaders", {})))
    if code in _RETRYABLE_CODES or status >= 500:
        return RetryableError(text)
    kind = ModelRefusedError if code in _MODEL_REFUSED_CODES else PermanentError
    return kind(f"{text} Check LOOKBOOK_TEXT_MODEL_ID, the region and the role's permission bedrock:InvokeModel.")


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return what ``Retry-After`` says in seconds; its other form, a date, is not used by AWS."""
    said = headers.get("retry-after", "")
    return float(said) if said.replace(".", "", 1).isdigit() else None
