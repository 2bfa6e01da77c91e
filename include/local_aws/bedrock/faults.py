"""Faults that a rehearsal asks for: calls throttled, failed, answered with rubbish, late or never."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from starlette.requests import Request

from local_aws.bedrock.conversation import Conversation
from local_aws.errors import AwsError
from local_aws.settings import FaultShares

_BY_CALL = ("throttle", "error", "malformed", "hang", "slow")
_CONTENT = ("output", "content")
_WHOLE = 1 << 64


class Faults:
    """Draws which call has which fault, each kind as often as its share says.

    All kinds but one are drawn call by call, in the order the calls come. A model refuses what it is asked and not the
    call: the same conversation is always refused, or never.
    """

    def __init__(self, shares: FaultShares) -> None:
        self._shares = shares
        self._draw = random.Random(shares.seed)  # noqa: S311 - a rehearsal, no secret
        self._by_call = [(kind, getattr(shares, kind)) for kind in _BY_CALL if getattr(shares, kind)]

    def draw(self) -> str | None:
        """Return the next call's fault, if it has one: throttle, error, malformed, hang or slow."""
        if not self._by_call:
            return None
        drawn = self._draw.random()
        for kind, share in self._by_call:
            if drawn < share:
                return kind
            drawn -= share
        return None

    def refuses(self, conversation: Conversation) -> bool:
        """Say whether the model refuses to answer this."""
        if not self._shares.refuse:
            return False
        asked = f"{self._shares.seed}\n{conversation.messages[0].text}"
        place = int.from_bytes(hashlib.sha256(asked.encode()).digest()[:8])
        return place < self._shares.refuse * _WHOLE

    def error(self) -> AwsError:
        """Return one of the errors that are Bedrock's own fault."""
        if self._draw.random() < 0.5:
            told = "The system encountered an unexpected error during processing. Try your request again."
            return AwsError("InternalServerException", told, status=500)
        return AwsError("ServiceUnavailableException", "Bedrock is unable to process your request.", status=503)

    def spoilt(self, body: bytes, answer: Mapping[str, Any]) -> bytes:
        """Return an answer that no client can use: cut off, or without what the model said."""
        if self._draw.random() < 0.5:
            return body[: len(body) // 2]
        return orjson.dumps({name: value for name, value in answer.items() if name not in _CONTENT})

    async def hang(self, request: Request) -> None:
        """Say nothing for as long as the caller stays, ``hang_s`` at most.

        Raises:
            AwsError: ModelTimeoutException, for a caller that is still there.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._shares.hang_s):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
        told = "The model took too long to process the request. Try your request again."
        raise AwsError("ModelTimeoutException", told, status=408)

    async def dawdle(self) -> None:
        """Take ``slow_s`` longer."""
        await asyncio.sleep(self._shares.slow_s)
