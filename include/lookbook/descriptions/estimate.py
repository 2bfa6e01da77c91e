"""What a run is expected to take, before it is started: calls, tokens, USD and time against the quota.

What the same prompt and model took for products before is what they will take for the next ones. Until there are
enough of those, the characters of some requests are counted. Afterwards the result of the run says how far off it was.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import And

from lookbook import storage
from lookbook.catalog import tables
from lookbook.descriptions import prompts
from lookbook.descriptions.conversation import first_messages, request_of
from lookbook.descriptions.cost import cost_usd
from lookbook.descriptions.cutting import Mode, evenly
from lookbook.descriptions.plans import read_shards
from lookbook.descriptions.work import Todo
from lookbook.settings import Settings, get_settings

log = logging.getLogger(__name__)

_ENOUGH_OUTCOMES = 20
_SAMPLED = 100
# Where nothing is known of a prompt and a model yet. English has about four characters a token; a third of what a model
# may write is more than most texts take; one text in ten is written again; a picture is at most 1,568 tokens.
_CHARACTERS_A_TOKEN = 4
_WRITTEN_SHARE = 1 / 3
_CALLS = 1.1
_PICTURE_TOKENS = 1568
_LATENCY_S = 3.0
# What Airflow takes for a mapped task each (docs/decisions/0026-what-a-run-may-cost.md).
_TASKS_A_SECOND = 3
_COLUMNS = ("calls", "input_tokens", "cached_tokens", "output_tokens", "latency_ms")


@dataclass(frozen=True)
class Estimate:
    """What is expected of a run.

    ``products`` are asked about, ``stored`` have an outcome already, from a run that was cut short, and cost nothing.
    ``usd`` is at list price, ``None`` for a model without one; ``seconds`` are ``None`` for batch jobs, which Bedrock
    does when it has time. ``learned_from`` outcomes told the means; 0: characters were counted.
    """

    products: int
    stored: int
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: float | None
    seconds: float | None
    bound_by: str
    learned_from: int
    text_model_id: str
    mode: Mode

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Mean:
    """What one product takes; ``latency_s`` is that of a call."""

    calls: float
    input_tokens: float
    cached_tokens: float
    output_tokens: float
    latency_s: float
    learned_from: int


def estimate(todo: Sequence[Todo], drop_id: str, mode: Mode, share: float) -> Estimate:
    """Estimate a run.

    Args:
        todo: its work items.
        drop_id: their drop.
        mode: how they are described.
        share: of a shard; 1/share work side by side.
    """
    settings = get_settings()
    stored = {one.uri for one in storage.list_objects(f"s3://{settings.bucket}/descriptions/{drop_id}/")}
    asked = [one for one in todo if one.result_uri not in stored]
    mean = (_learned(settings) or _counted(asked, settings)) if asked else _Mean(0, 0, 0, 0, 0, 0)
    amounts = [math.ceil(len(asked) * each) for each in (mean.input_tokens, mean.output_tokens, mean.cached_tokens)]
    calls = math.ceil(len(asked) * mean.calls)
    seconds, bound_by = _time(calls, amounts[0] + amounts[1], len(asked), mean, mode, share)
    return Estimate(
        products=len(asked),
        stored=len(todo) - len(asked),
        calls=calls,
        input_tokens=amounts[0],
        cached_tokens=amounts[2],
        output_tokens=amounts[1],
        usd=cost_usd(settings.text_model_id, *amounts, batch=mode == "batch"),
        seconds=seconds,
        bound_by=bound_by,
        learned_from=mean.learned_from,
        text_model_id=settings.text_model_id,
        mode=mode,
    )


def compared(plan_uri: str, published: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run came to, with its estimate and how far off that was: 0.1 is a tenth too much.

    Both are taken for each product, since outcomes that were stored before are in what was published, but not in what
    was estimated.

    Args:
        plan_uri: of the run.
        published: :class:`lookbook.descriptions.publishing.Publication` values.
    """
    error = _error(read_shards(plan_uri.rpartition("/")[0]).estimate, published)
    if error:
        log.info("Estimated were %s USD for what cost %s USD: %s", error["usd"], published["cost_usd"], error)
    return {**published, "estimate": error}


def _error(expected: Mapping[str, Any] | None, published: Mapping[str, Any]) -> dict[str, Any] | None:
    described = published["products"] - published["unchanged"]
    if not expected or not expected["products"] or not described:
        return None

    errors = {}
    for name, column in (("input_tokens", "input_tokens"), ("output_tokens", "output_tokens"), ("usd", "cost_usd")):
        each = (expected[name] or 0) / expected["products"]
        errors[f"{name}_error"] = round(each * described / actual - 1, 4) if (actual := published[column]) else None
    return {"usd": expected["usd"], "calls": expected["calls"], "learned_from": expected["learned_from"], **errors}


def _learned(settings: Settings) -> _Mean | None:
    """Return the means of the outcomes in the table that the same prompt and model brought, if they are enough."""
    prompt = prompts.load()
    same = And(
        tables.equals("prompt_sha256", prompt.sha256),
        tables.equals("text_model_id", settings.text_model_id),
        tables.equals("language", prompt.language),
    )
    rows = tables.read("descriptions.descriptions", same, _COLUMNS)
    rows = rows.filter(pc.greater(rows["calls"], 0))
    if len(rows) < _ENOUGH_OUTCOMES:
        return None
    means = {name: _mean(rows, name) for name in rows.column_names}
    return _Mean(
        calls=means["calls"],
        input_tokens=means["input_tokens"],
        cached_tokens=means["cached_tokens"],
        output_tokens=means["output_tokens"],
        latency_s=means.get("latency_ms", 0) / means["calls"] / 1000 or _LATENCY_S,  # a product's is of all its calls
        learned_from=len(rows),
    )


def _mean(rows: pa.Table, name: str) -> float:
    return float(pc.mean(rows[name]).as_py() or 0)


def _counted(todo: Sequence[Todo], settings: Settings) -> _Mean:
    """Return what the characters of some requests, evenly taken, say."""
    items = [group[0].item() for group in evenly(todo, min(len(todo), _SAMPLED))]
    lengths = [len(orjson.dumps(request_of(item, first_messages(item)))) for item in items]
    picture = _PICTURE_TOKENS if settings.description_picture else 0
    return _Mean(
        calls=_CALLS,
        input_tokens=(sum(lengths) / len(lengths) / _CHARACTERS_A_TOKEN + picture) * _CALLS,
        cached_tokens=0,
        output_tokens=prompts.load().max_tokens * _WRITTEN_SHARE * _CALLS,
        latency_s=_LATENCY_S,
        learned_from=0,
    )


def _time(calls: int, tokens: int, products: int, mean: _Mean, mode: Mode, share: float) -> tuple[float | None, str]:
    """Return how long a run takes at least, in seconds, and what keeps it from being faster."""
    if mode == "batch":
        return None, "Bedrock's batch jobs"
    settings = get_settings()
    tasks, in_flight = round(1 / share), settings.description_concurrency
    if mode == "per_product":
        in_flight = 1
    bounds = {
        f"{tasks} × {in_flight} calls of {mean.latency_s:.1f} s in flight": calls * mean.latency_s / tasks / in_flight
    }
    if settings.bedrock_rpm:
        bounds[f"{settings.bedrock_rpm:g} requests a minute"] = calls / settings.bedrock_rpm * 60
    if settings.bedrock_tpm:
        bounds[f"{settings.bedrock_tpm:g} tokens a minute"] = tokens / settings.bedrock_tpm * 60
    if mode == "per_product":
        bounds[f"{_TASKS_A_SECOND} tasks a second, which Airflow starts"] = products / _TASKS_A_SECOND
    bound_by = max(bounds, key=lambda name: bounds[name])
    return round(bounds[bound_by], 1), bound_by
