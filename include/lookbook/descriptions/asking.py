"""A text model asked on behalf of many products at once: paced, patient, and elsewhere when it doesn't answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from lookbook.aws import async_client
from lookbook.descriptions import bedrock
from lookbook.descriptions.bedrock import ModelRefusedError, ThrottledError
from lookbook.descriptions.conversation import Reply
from lookbook.descriptions.pacing import Gate, Place, Rate, TokenBudget, TurnedAwayError
from lookbook.descriptions.routes import Breaker, Patience, Route, Target, targets
from lookbook.descriptions.sharing import Part, Quota, shared
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

_CHARACTERS_PER_TOKEN = 4
# Calls a second of all who ask together that are made even if most are refused. Quotas below that are for settings.
_SLOWEST_PER_S = 5.0
_LOOK_AGAIN_AFTER_S = 1.0
_THROTTLES_WAITED_FOR = 3  # of a call, each for longer than the one before
_LOOKS_AT_ONCE = 8  # all of a shard's at once would take S3 and processor from the first calls for a second


@dataclass(frozen=True)
class Backoff:
    """How failures are answered: waits are drawn from 0 to ``base_s`` × 2ⁿ, at most ``cap_s`` seconds each.

    A call that fails ``attempts`` times is given up; one that is throttled isn't, before its product's time is over.
    """

    attempts: int = 12
    base_s: float = 0.5
    cap_s: float = 20.0
    deadline_s: float | None = None
    """Seconds from a product's first call; ``None`` is LOOKBOOK_PRODUCT_DEADLINE_S."""

    def wait_s(self, attempt: int) -> float:
        """Return the wait after the ``attempt``-th failure (1, 2, …), drawn so that callers don't return in step."""
        return random.uniform(0, min(self.cap_s, self.base_s * 2 ** min(attempt, 16)))  # noqa: S311


@dataclass(frozen=True)
class Answered:
    """A reply, who gave it and how long it took."""

    reply: Reply
    target: Target
    latency_ms: int


@dataclass
class Turn:
    """A product's place among those that are asked about, and the time it has for all of its calls.

    The time begins with the first call: waiting for one's turn costs none. ``order`` is smaller for who came earlier.
    """

    order: int
    deadline_s: float
    answered: list[Answered] = field(default_factory=list)
    _ends_at: float | None = None

    def left_s(self) -> float:
        """Return the seconds left."""
        return self.deadline_s if self._ends_at is None else self._ends_at - asyncio.get_running_loop().time()

    def begin(self) -> None:
        """Let the time run, if it doesn't yet."""
        if self._ends_at is None:
            self._ends_at = asyncio.get_running_loop().time() + self.deadline_s

    @property
    def begun(self) -> bool:
        """Whether the time runs."""
        return self._ends_at is not None


class StoppedError(RetryableError):
    """No more calls are made, for the task has to end."""


class Asking:
    """Asks the first route that answers, on behalf of many; what is found out about a route, all profit from."""

    def __init__(self, routes: Sequence[Route], backoff: Backoff) -> None:
        self.routes, self.backoff = routes, backoff
        self.looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        """Held by who looks up whether there is anything to ask."""
        self._changed, self._stopping = asyncio.Event(), asyncio.Event()

    def turn(self, order: int) -> Turn:
        """Return the place of the product that came ``order``-th."""
        return Turn(order, self.backoff.deadline_s or get_settings().product_deadline_s)

    async def ask(
        self, request: Mapping[str, Any], turn: Turn, before_first: Callable[[], Awaitable[None]] | None = None
    ) -> Reply:
        """Have a model continue a conversation; ``turn`` learns who did.

        Args:
            request: of :func:`lookbook.descriptions.conversation.request_of`.
            turn: the product's, the same for all of its calls.
            before_first: looks, when the turn has come after some wait, whether the call is needed still; what it
                raises is raised, and the call isn't made.

        Raises:
            PermanentError: the request was refused.
            RetryableError: there was no answer before the product's time was over, or so many failures.
            StoppedError: :meth:`stop` was called.
        """
        faults = throttles = 0
        last: Exception | None = None
        asked_at = asyncio.get_running_loop().time()
        while True:
            route, place = await self._admitted(request, turn, last)
            if before_first and last is None and asyncio.get_running_loop().time() - asked_at >= _LOOK_AGAIN_AFTER_S:
                await _looked(before_first, route, place)
            try:
                answered = await self._call(route, place, request, turn)
            except ThrottledError as error:
                last, throttles = error, throttles + 1
                records.adds(throttled=1)
            except RetryableError as error:
                # A call cut short by the product's time doesn't say what was wrong before.
                last, faults = (last if last and turn.left_s() <= 0 else error), faults + 1
            except _ElsewhereError as error:
                last = error
                continue
            else:
                turn.answered.append(answered)
                return answered.reply
            # The gate keeps those who were throttled apart already.
            wait = self.backoff.wait_s(max(faults, min(throttles, _THROTTLES_WAITED_FOR)))
            if faults >= self.backoff.attempts or wait >= turn.left_s():
                raise _gave_up(route.target, faults + throttles, last) from last
            log.debug("%s Attempt %d; next in %.1f s.", last, faults + throttles, wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)

    def stop(self) -> None:
        """Make no more calls; those in flight go on."""
        self._stopping.set()
        self.look_again()

    async def _admitted(self, request: Mapping[str, Any], turn: Turn, last: Exception | None) -> tuple[Route, Place]:
        """Wait for a place on the first route that answers."""
        try:
            async with asyncio.timeout(turn.left_s() if turn.begun else None) as timeout:
                while not self._stopping.is_set():
                    route = next((route for route in self.routes if route.breaker.lets_pass()), None)
                    if route is None:
                        turn.begin()
                        timeout.reschedule(asyncio.get_running_loop().time() + turn.left_s())
                        await self._wait_for_change()
                    elif place := await _entered(route, turn.order, _tokens_of(request, route)):
                        turn.begin()
                        return route, place
                raise StoppedError("The task was told to stop before there was an answer.")
        except TimeoutError:
            raise _gave_up(self.routes[0].target, 0, last) from last

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def look_again(self) -> None:
        """Have everybody who waits choose a route anew."""
        self._changed.set()
        for route in self.routes:
            route.gate.turn_away()

    async def _call(self, route: Route, place: Place, request: Mapping[str, Any], turn: Turn) -> Answered:
        loop, target = asyncio.get_running_loop(), route.target
        began, used, throttled = loop.time(), 0, None
        try:
            call = bedrock.converse(route.client, target.model_id, request)
            reply: Reply = await route.patience.wait_for(call, max(0.0, turn.left_s()))
        except ThrottledError as error:
            throttled = error
            route.breaker.failed(str(error))
            raise
        except (RetryableError, TimeoutError) as error:
            route.breaker.failed(str(error) or "no answer in time")
            if isinstance(error, TimeoutError):
                raise RetryableError(f"{target} gave no answer in {loop.time() - began:.1f} s.") from error
            raise
        except ModelRefusedError as error:
            raise self._refused_model(route, error) from error
        except PermanentError:
            route.breaker.answered()
            raise
        except BaseException:
            route.breaker.not_made()
            raise
        else:
            used = reply.input_tokens - reply.cached_tokens + reply.output_tokens
            route.breaker.answered()
            route.input_tokens = reply.input_tokens
            return Answered(reply, target, round((loop.time() - began) * 1000))
        finally:
            place.refused(throttled.retry_after_s) if throttled else place.leave(used)

    def _refused_model(self, route: Route, error: ModelRefusedError) -> Exception:
        """Return what to raise: a fallback that the account may not use is no reason to fail a product."""
        if route is self.routes[0]:
            route.breaker.answered()
            return error
        route.breaker.leave_for_good(str(error))
        return _ElsewhereError(str(error))


class _ElsewhereError(Exception):
    """The route is no use: ask another."""


async def _entered(route: Route, order: int, tokens: int) -> Place | None:
    """Return a place on the route, or ``None`` when the routes changed before there was one."""
    try:
        return await route.gate.enter(order, tokens)
    except TurnedAwayError:
        route.breaker.not_made()
        return None
    except BaseException:
        route.breaker.not_made()
        raise


async def _looked(look: Callable[[], Awaitable[None]], route: Route, place: Place) -> None:
    try:
        await look()
    except BaseException:
        place.leave(0)
        route.breaker.not_made()
        raise


def _tokens_of(request: Mapping[str, Any], route: Route) -> int:
    """Return the tokens that Bedrock reserves when the call starts: its input, and as many as it may write."""
    if route.gate.budget is None:
        return 0
    written: int = request["inferenceConfig"]["maxTokens"]
    guessed = len(orjson.dumps(request["messages"], default=len)) / _CHARACTERS_PER_TOKEN
    return round(route.input_tokens or guessed) + written


def _gave_up(target: Target, tries: int, last: Exception | None) -> RetryableError:
    tried = f"in {tries} attempts" if tries else "in the product's time (LOOKBOOK_PRODUCT_DEADLINE_S)"
    return RetryableError(f"Bedrock model {target} gave no answer {tried}. Last: {last or 'no route answers'}")


@asynccontextmanager
async def asking(
    model_id: str, share: float = 1.0, backoff: Backoff | None = None, *, alone: bool = False
) -> AsyncIterator[Asking]:
    """Open the routes to ``model_id`` and its fallbacks.

    Args:
        model_id: the model that should write.
        share: of the account's quota, as planned: the rest is for others who ask at the same time.
        backoff: how failures are answered.
        alone: few calls will be made: don't look who else asks.
    """
    async with AsyncExitStack() as opened:
        routes: list[Route] = []
        asked = Asking(routes, backoff or Backoff())
        clients: dict[str, Any] = {}
        for target in targets(model_id):
            if target.region not in clients:
                clients[target.region] = await opened.enter_async_context(_client(target.region))
            route, part = _route(target, clients[target.region], share, asked)
            routes.append(route)
            if not alone and len(routes) == 1:
                await opened.enter_async_context(shared(part))
        yield asked


def _client(region: str) -> Any:
    connections = get_settings().description_concurrency * (1 + len(get_settings().text_fallbacks))
    return async_client("bedrock-runtime", connections=connections, attempts=1, region=region)


def _route(target: Target, client: Any, share: float, asked: Asking) -> tuple[Route, Part]:
    settings, quota = get_settings(), _quota(target)
    tokens = quota.tokens_per_minute
    budget = TokenBudget(tokens * share, asyncio.get_running_loop().time()) if tokens else None
    gate = Gate(settings.description_concurrency, Rate(), budget)
    part = Part(str(target), gate, quota, share)
    breaker = Breaker(str(target), asked.look_again)
    return Route(target, client, gate, breaker, Patience(settings.text_call_timeout_s)), part


def _quota(target: Target) -> Quota:
    """Return what the settings say of a target's quotas: those of the text model in its region, nothing of others."""
    settings = get_settings()
    if target != Target(settings.text_model_id, settings.aws_region):
        return Quota(None, None, _SLOWEST_PER_S)
    per_s = settings.bedrock_rpm / 60 if settings.bedrock_rpm else None
    return Quota(per_s, settings.bedrock_tpm, min(_SLOWEST_PER_S, per_s / 2) if per_s else _SLOWEST_PER_S)
