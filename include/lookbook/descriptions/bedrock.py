"""One text from a Bedrock model through the Converse API, with retries for what time can mend."""

from __future__ import annotations

import asyncio
import logging
import random
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

from lookbook.descriptions.prompts import Prompt
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
_WITHHOLDING_STOPS = {
    "content_filtered": "content_filtered",
    "guardrail_intervened": "guardrail",
    "max_tokens": "truncated",
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


@dataclass(frozen=True)
class Reply:
    """What the model answered; ``withheld`` is the reason why its text must not be used, if there is one."""

    text: str
    request_id: str
    input_tokens: int
    output_tokens: int
    stop_reason: str
    withheld: str | None = None


class MalformedReplyError(RetryableError):
    """The service answered something that is no Converse reply."""


async def converse(
    client: Any, model_id: str, prompt: Prompt, messages: list[dict[str, Any]], backoff: Backoff | None = None
) -> Reply:
    """Ask the model to continue ``messages`` under the prompt's system text and settings.

    Args:
        client: an aiobotocore client of ``bedrock-runtime``, made with ``attempts=1``: the retries are here.
        model_id: a model id or inference profile.
        prompt: gives system text, ``max_tokens`` and ``temperature``.
        messages: as Converse takes them, the last one the user's.
        backoff: how often and how far apart to try.

    Raises:
        PermanentError: the request was refused: access denied, unknown model, invalid request.
        RetryableError: throttled, failed or timed out every time.
    """
    backoff = backoff or Backoff()
    for attempt in range(1, backoff.attempts + 1):
        try:
            return await _call(client, model_id, prompt, messages)
        except RetryableError as error:
            last = error
            if attempt < backoff.attempts:
                wait = backoff.wait_s(attempt)
                log.info("%s Attempt %d of %d; next in %.1f s.", error, attempt, backoff.attempts, wait)
                await asyncio.sleep(wait)
    raise RetryableError(f"Bedrock model {model_id} gave no answer in {backoff.attempts} attempts. Last: {last}")


def message(role: str, text: str) -> dict[str, Any]:
    """Return one message of a conversation; ``role`` is ``user`` or ``assistant``."""
    return {"role": role, "content": [{"text": text}]}


async def _call(client: Any, model_id: str, prompt: Prompt, messages: list[dict[str, Any]]) -> Reply:
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            answer = await client.converse(
                modelId=model_id,
                system=[{"text": prompt.system}],
                messages=messages,
                inferenceConfig={"maxTokens": prompt.max_tokens, "temperature": prompt.temperature},
            )
    except ClientError as error:
        raise _translated(error, model_id) from error
    except ParamValidationError as error:
        raise PermanentError(f"The request to Bedrock model {model_id} is invalid: {error}") from error
    except (ConnectionError, HTTPClientError, ResponseParserError, TimeoutError, aiohttp.ClientError) as error:
        raise RetryableError(f"Bedrock did not answer properly ({type(error).__name__}: {error}).") from error
    except BotoCoreError as error:
        raise PermanentError(f"Bedrock cannot be called: {error} Check credentials and AWS_ENDPOINT_URL.") from error
    return _reply(answer)


def _translated(error: ClientError, model_id: str) -> PermanentError | RetryableError:
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    text = f"Bedrock model {model_id}: {code} ({status}): {error.response['Error']['Message']}"
    if code in _RETRYABLE_CODES or status == 429 or status >= 500:
        return RetryableError(text)
    return PermanentError(
        f"{text} Check LOOKBOOK_TEXT_MODEL_ID, the region and the role's permission bedrock:InvokeModel."
    )


def _reply(answer: dict[str, Any]) -> Reply:
    try:
        blocks, usage = answer["output"]["message"]["content"], answer["usage"]
        text = " ".join(" ".join(block.get("text", "") for block in blocks).split())
        return Reply(
            text=text,
            request_id=answer["ResponseMetadata"]["RequestId"],
            input_tokens=usage["inputTokens"],
            output_tokens=usage["outputTokens"],
            stop_reason=answer["stopReason"],
            # Asked again, the model would say the same: the temperature is 0.
            withheld=_WITHHOLDING_STOPS.get(answer["stopReason"]) or (None if text else "empty"),
        )
    except (KeyError, TypeError) as error:
        raise MalformedReplyError(f"Bedrock answered without {error}.") from error
