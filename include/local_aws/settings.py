"""The settings of local AWS: command-line arguments, and ``LOCAL_AWS_…`` variables for what is rarely changed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

ACCOUNT = "000000000000"
REGION = "us-east-1"


@dataclass(frozen=True)
class Quota:
    """What a Bedrock model accepts in a minute; None is no limit."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


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
}


def from_environment(settings: Settings, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return ``settings`` with what the environment says.

    Raises:
        ValueError: a variable that holds no number, or quotas that are not the JSON they should be.
    """
    numbers = {name: kind(environment[key]) for key, (name, kind) in _NUMBERS.items() if environment.get(key)}
    return replace(
        settings,
        **numbers,
        bedrock_models=tuple(filter(None, environment.get("LOCAL_AWS_BEDROCK_MODELS", "").split(","))),
        bedrock_quotas=_quotas(environment.get("LOCAL_AWS_BEDROCK_QUOTAS") or "{}"),
        llm_url=environment.get("LOOKBOOK_LOCAL_LLM_URL") or None,
        llm_model=environment.get("LOOKBOOK_LOCAL_LLM_MODEL") or None,
    )


def _quotas(text: str) -> dict[str, Quota]:
    try:
        return {model: Quota(limits.get("rpm"), limits.get("tpm")) for model, limits in json.loads(text).items()}
    except (ValueError, AttributeError) as error:
        expected = '{"<model id or *>": {"rpm": 50, "tpm": 20000}}'
        raise ValueError(f"LOCAL_AWS_BEDROCK_QUOTAS is {text!r}; expected JSON like {expected}") from error
