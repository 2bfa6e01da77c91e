"""A conversation with a Bedrock model through the Converse API, with retries for what time can mend."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
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
from lookbook.errors import PermanentError, RetryableError

log = logging.getLogger(__name__)

# Seconds; a read timeout doesn't bound a body that trickles in, so the whole call has a limit of its own.
CALL_TIMEOUT_S = 90.0

_RETRYABLE_CODES = {
    "ThrottlingException",
    "TooManyRequestsException",
    "ServiceUnavailableException",
    "InternalServerException",
    "ModelTimeoutException",
    "ModelNotReadyException",
    "ModelErrorException",
}


@dataclass(frozen=True)
class Backoff:
    """How long a call keeps trying: waits are drawn from 0 to ``base_s`` × 2ⁿ, at most ``cap_s`` seconds each."""

    attempts: int = 8
    base_s: float = 0.5
    cap_s: float = 20.0

    def wait_s(self, attempt: int) -> float:
        """Return the wait after the ``attempt``-th failure (1, 2, …), drawn so that callers don't return in step."""
        return random.uniform(0, min(self.cap_s, self.base_s * 2**attempt))  # noqa: S311


async def converse(client: Any, model_id: str, request: Mapping[str, Any], backoff: Backoff | None = None) -> Reply:
    """Ask a model to continue a conversation.

    Args:
        client: an aiobotocore client of ``bedrock-runtime``, made with ``attempts=1``: the retries are here.
        model_id: a model id or inference profile.
        request: of :func:`lookbook.descriptions.conversation.request_of`.
        backoff: how often and how far apart to try.

    Raises:
        PermanentError: the request was refused: access denied, unknown model, invalid request.
        RetryableError: throttled, failed or timed out every time.
    """
    backoff = backoff or Backoff()
    for attempt in range(1, backoff.attempts + 1):
        try:
            return await _call(client, model_id, request)
        except RetryableError as error:
            last = error
            if attempt < backoff.attempts:
                wait = backoff.wait_s(attempt)
                log.info("%s Attempt %d of %d; next in %.1f s.", error, attempt, backoff.attempts, wait)
                await asyncio.sleep(wait)
    raise RetryableError(f"Bedrock model {model_id} gave no answer in {backoff.attempts} attempts. Last: {last}")


async def _call(client: Any, model_id: str, request: Mapping[str, Any]) -> Reply:
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            answer = await client.converse(modelId=model_id, **request)
    except ClientError as error:
        raise _translated(error, model_id) from error
    except ParamValidationError as error:
        raise PermanentError(f"The request to Bedrock model {model_id} is invalid: {error}") from error
    except (ConnectionError, HTTPClientError, ResponseParserError, TimeoutError, aiohttp.ClientError) as error:
        raise RetryableError(f"Bedrock did not answer properly ({type(error).__name__}: {error}).") from error
    except BotoCoreError as error:
        raise PermanentError(f"Bedrock cannot be called: {error} Check credentials and AWS_ENDPOINT_URL.") from error
    return reply_of(answer)


def _translated(error: ClientError, model_id: str) -> PermanentError | RetryableError:
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    text = f"Bedrock model {model_id}: {code} ({status}): {error.response['Error']['Message']}"
    if code in _RETRYABLE_CODES or status == 429 or status >= 500:
        return RetryableError(text)
    return PermanentError(
        f"{text} Check LOOKBOOK_TEXT_MODEL_ID, the region and the role's permission bedrock:InvokeModel."
    )
