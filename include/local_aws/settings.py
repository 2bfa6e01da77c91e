"""The settings of local AWS: command-line arguments, and ``LOCAL_AWS_…`` variables for what is rarely changed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ACCOUNT = "000000000000"
REGION = "us-east-1"

_BLOCKED = "Sorry, the model cannot answer this question."


@dataclass(frozen=True)
class Quota:
    """What a Bedrock model accepts in a minute, None is no limit, and whether it says how long to wait for more."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    says_when: bool = False


@dataclass(frozen=True)
class FaultShares:
    """Which shares of a Bedrock model's calls go wrong, 0 to 1 each and together; ``…_s`` in seconds."""

    throttle: float = 0.0
    error: float = 0.0
    malformed: float = 0.0
    hang: float = 0.0
    slow: float = 0.0
    refuse: float = 0.0
    hang_s: float = 300.0
    slow_s: float = 5.0
    seed: int | str = 1


@dataclass(frozen=True)
class Guardrail:
    """A Bedrock guardrail: the words that it blocks, in any case, and what is said instead."""

    words: tuple[str, ...]
    message: str
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """Where local AWS listens and keeps its state, and how long it waits; times in seconds."""

    state: Path
    images: Path
    port: int = 4566
    host: str = "127.0.0.1"
    training_capacity: int = 1
    transform_capacity: int = 1
    poll: float = 0.2
    checkpoint_interval: float = 2.0
    stop_grace: float = 30.0
    endpoint_start_timeout: float = 120.0
    endpoint_unhealthy: float = 30.0
    endpoint_drain: float = 60.0
    invocation_timeout: float = 60.0
    bedrock_models: tuple[str, ...] = ()
    bedrock_quotas: Mapping[str, Quota] = field(default_factory=dict)
    bedrock_faults: Mapping[str, FaultShares] = field(default_factory=dict)
    bedrock_guardrails: Mapping[str, Guardrail] = field(default_factory=dict)
    bedrock_latency_ms: float = 0.0
    batch_capacity: int = 2
    batch_rate: float = 0.0
    batch_hour: float = 3600.0
    llm_url: str | None = None
    llm_model: str | None = None

    @property
    def url(self) -> str:
        """The address that processes on this machine reach the gateway at."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compares, doesn't bind
        return f"http://{host}:{self.port}"


_NUMBERS = {
    "LOCAL_AWS_TRAINING_CAPACITY": ("training_capacity", int),
    "LOCAL_AWS_TRANSFORM_CAPACITY": ("transform_capacity", int),
    "LOCAL_AWS_POLL": ("poll", float),
    "LOCAL_AWS_CHECKPOINT_INTERVAL": ("checkpoint_interval", float),
    "LOCAL_AWS_STOP_GRACE": ("stop_grace", float),
    "LOCAL_AWS_ENDPOINT_START_TIMEOUT": ("endpoint_start_timeout", float),
    "LOCAL_AWS_ENDPOINT_UNHEALTHY": ("endpoint_unhealthy", float),
    "LOCAL_AWS_ENDPOINT_DRAIN": ("endpoint_drain", float),
    "LOCAL_AWS_INVOCATION_TIMEOUT": ("invocation_timeout", float),
    "LOCAL_AWS_BEDROCK_LATENCY_MS": ("bedrock_latency_ms", float),
    "LOCAL_AWS_BATCH_CAPACITY": ("batch_capacity", int),
    "LOCAL_AWS_BATCH_RATE": ("batch_rate", float),
    "LOCAL_AWS_BATCH_HOUR": ("batch_hour", float),
}


def from_environment(settings: Settings, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return ``settings`` with what the environment says.

    Raises:
        ValueError: a variable that holds no number, or quotas, faults or guardrails that are not the JSON
            they should be.
    """
    numbers = {name: kind(environment[key]) for key, (name, kind) in _NUMBERS.items() if environment.get(key)}
    return replace(
        settings,
        **numbers,
        bedrock_models=tuple(filter(None, environment.get("LOCAL_AWS_BEDROCK_MODELS", "").split(","))),
        bedrock_quotas=_quotas(environment.get("LOCAL_AWS_BEDROCK_QUOTAS") or "{}"),
        bedrock_faults=_faults(environment.get("LOCAL_AWS_BEDROCK_FAULTS") or "{}"),
        bedrock_guardrails=_guardrails(environment.get("LOCAL_AWS_GUARDRAILS") or "{}"),
        llm_url=environment.get("LOOKBOOK_LOCAL_LLM_URL") or None,
        llm_model=environment.get("LOOKBOOK_LOCAL_LLM_MODEL") or None,
    )


def _quotas(text: str) -> dict[str, Quota]:
    try:
        return {place: _quota(**limits) for place, limits in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError) as error:
        expected = '{"<model id or *>": {"rpm": 50, "tpm": 20000}}'
        raise ValueError(f"LOCAL_AWS_BEDROCK_QUOTAS is {text!r} ({error}); expected JSON like {expected}") from error


def _quota(rpm: float | None = None, tpm: float | None = None, *, retry_after: bool = False) -> Quota:
    return Quota(rpm, tpm, retry_after)


def _faults(text: str) -> dict[str, FaultShares]:
    """Read shares for every model, or for each model its own."""
    try:
        given = json.loads(text)
        by_model = given if all(isinstance(value, dict) for value in given.values()) else {"*": given}
        return {model: _shares(shares) for model, shares in by_model.items()}
    except (ValueError, AttributeError, TypeError) as error:
        expected = '{"throttle": 0.5, "error": 0.05, "seed": 1} or the same for each of several "<model id or *>"'
        raise ValueError(f"LOCAL_AWS_BEDROCK_FAULTS is {text!r} ({error}); expected JSON like {expected}") from error


def _shares(given: Mapping[str, Any]) -> FaultShares:
    shares = FaultShares(**given)
    drawn = (shares.throttle, shares.error, shares.malformed, shares.hang, shares.slow)
    if min(*drawn, shares.refuse) < 0 or sum(drawn) > 1 or shares.refuse > 1:
        raise ValueError("shares are between 0 and 1, and throttle, error, malformed, hang and slow 1 at most together")
    return shares


def _guardrails(text: str) -> dict[str, Guardrail]:
    try:
        return {identifier: _guardrail(**given) for identifier, given in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError) as error:
        expected = '{"<id>": {"words": ["cheap"], "message": "Sorry."}}'
        raise ValueError(f"LOCAL_AWS_GUARDRAILS is {text!r} ({error}); expected JSON like {expected}") from error


def _guardrail(words: list[str], message: str = _BLOCKED, versions: Sequence[str] = ("DRAFT", "1")) -> Guardrail:
    return Guardrail(tuple(words), message, tuple(versions))
