"""What stands between a call and a model: quota, latency and the faults that were asked for."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request

from local_aws.bedrock.conversation import Answer, Conversation
from local_aws.bedrock.faults import Faults
from local_aws.bedrock.models import Models
from local_aws.bedrock.places import Place
from local_aws.bedrock.quota import Quotas, throttled
from local_aws.settings import FaultShares, Settings


class Calls:
    """Takes calls to models, each as late and as badly as the settings say of its place."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self._models, self._shares = models, settings.bedrock_faults
        self._quotas = Quotas(settings.bedrock_quotas)
        self._latency_s = settings.bedrock_latency_ms / 1000
        self._faults: dict[Place, Faults] = {}

    def faults(self, place: Place) -> Faults:
        """Return what draws the faults of a place."""
        if place not in self._faults:
            self._faults[place] = Faults(place.find(self._shares) or FaultShares())
        return self._faults[place]

    async def ask(self, place: Place, conversation: Conversation, fault: str | None, request: Request) -> Answer:
        """Have a conversation answered.

        Args:
            place: the model and its region.
            conversation: what it is asked.
            fault: what goes wrong, as :meth:`Faults.draw` returned it.
            request: who asks; one that hangs ends when its caller leaves.

        Raises:
            AwsError: throttled, failed or timed out.
        """
        if fault == "throttle":
            raise throttled("requests")
        reserved, used = conversation.input_tokens + conversation.max_tokens, 0
        self._quotas.reserve(place, reserved)
        try:
            answer = await self._answer(place, conversation, fault, request)
            # What was read from the cache doesn't count against the quota.
            used = answer.tokens - (answer.cache_read or 0)
        finally:
            self._quotas.give_back(place, max(0, reserved - used))
        return answer

    async def _answer(self, place: Place, conversation: Conversation, fault: str | None, request: Request) -> Answer:
        faults = self.faults(place)
        if fault == "hang":
            await faults.hang(request)
        started = time.perf_counter()
        answer = await self._models.answer(place, conversation)
        if faults.refuses(conversation):
            answer = answer.refused()
        if fault == "slow":
            await faults.dawdle()
        if (left := started + self._latency_s - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        if fault == "error":
            raise faults.error()
        return answer
