"""How long an endpoint ran, and on what: SageMaker forgets an endpoint with its deletion, so somebody must look.

Each endpoint that is seen leaves ``costs/endpoints/<name>/<creation>.json``: the spans of time in which it had a
config. It is looked at daily, and when Lookbook deletes it. Of one that somebody else deletes, the hours since it was
last looked at are not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lookbook import storage
from lookbook.aws import client
from lookbook.settings import get_settings
from lookbook.training import registry


@dataclass(frozen=True)
class Span:
    """A time in which an endpoint had ``instances`` of a type; times in UTC."""

    endpoint: str
    config: str
    instance_type: str
    instances: int
    since: datetime
    until: datetime

    def hours(self, start: datetime, end: datetime) -> float:
        """Return its instance hours between two times."""
        seconds = (min(self.until, end) - max(self.since, start)).total_seconds()
        return max(seconds, 0) / 3600 * self.instances


def look(now: datetime | None = None) -> None:
    """Note that the endpoint is there with what it has now; without an endpoint, nothing."""
    endpoint = registry.describe_endpoint(get_settings().endpoint_name)
    if endpoint is None:
        return
    seen = [_seen(endpoint, variant, now or datetime.now(UTC)) for variant in _variants(endpoint)]
    storage.update_json(_uri(endpoint), partial(_merged, seen))


def spans() -> Iterator[Span]:
    """Yield what was seen of every endpoint so far."""
    for stored in storage.list_objects(f"s3://{get_settings().bucket}/costs/endpoints/"):
        for span in storage.read_json(stored.uri):
            times = {name: datetime.fromisoformat(span[name]) for name in ("since", "until")}
            yield Span(**{**span, **times})


def _variants(endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    config = client("sagemaker").describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    variants: list[dict[str, Any]] = [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]
    return variants


def _seen(endpoint: dict[str, Any], variant: dict[str, Any], now: datetime) -> dict[str, Any]:
    span = Span(
        endpoint=endpoint["EndpointName"],
        config=f"{endpoint['EndpointConfigName']} {variant['VariantName']}",
        instance_type=variant["InstanceType"],
        instances=variant["InitialInstanceCount"],
        since=endpoint["LastModifiedTime"].astimezone(UTC),
        until=now,
    )
    return {**asdict(span), "since": span.since.isoformat(), "until": span.until.isoformat()}


def _merged(seen: list[dict[str, Any]], before: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Return the spans with those seen now: one that goes on is extended, another config's begins."""
    spans = list(before or [])
    going_on = {span["config"]: number for number, span in enumerate(spans)}
    for span in seen:
        number = going_on.get(span["config"])
        if number is not None and number >= len(before or []) - len(seen):
            spans[number] = {**spans[number], "until": span["until"]}
        else:
            spans.append(span)
    return spans


def _uri(endpoint: dict[str, Any]) -> str:
    created = storage.key_part(endpoint["CreationTime"].astimezone(UTC).isoformat())
    return f"s3://{get_settings().bucket}/costs/endpoints/{endpoint['EndpointName']}/{created}.json"
