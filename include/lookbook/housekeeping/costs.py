"""What everything cost at list price, by day and by drop.

What a day cost is worked out from what AWS and S3 say of it, and kept in ``costs/days/<date>.json`` once the day is
over: it is never worked out again. Prices are those of the dated lists in ``training/prices.toml`` (instance hours)
and ``descriptions/prices.toml`` (tokens); what no list has, has no cost rather than a guessed one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from lookbook import storage
from lookbook.aws import client
from lookbook.catalog import tables
from lookbook.descriptions import cost as tokens
from lookbook.descriptions import paid, spending
from lookbook.housekeeping import cost_page, plans, sightings
from lookbook.housekeeping.inventory import listed, tags
from lookbook.lineage import records
from lookbook.settings import get_settings
from lookbook.training import cost as instances

log = logging.getLogger(__name__)

Source = Literal["training", "transform", "endpoint", "endpoint in use", "descriptions"]

_DAYS = 31
# A day is closed an hour after its end, when what was under way at midnight has been written down.
_CLOSING = timedelta(hours=1)
_PREDICTING = "predict_attributes"


@dataclass(frozen=True)
class Line:
    """What one thing cost on one day.

    ``hours`` are instance hours, ``usd`` is ``None`` where no price list has the price. A line of the source
    ``endpoint in use`` is a part of the line ``endpoint`` of that day, not added to it.
    """

    day: str
    source: Source
    name: str
    usd: float | None
    hours: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    drop_id: str | None = None


@dataclass(frozen=True)
class CostReport:
    """Where the report lies, and its sum in USD: at least that, if ``unpriced`` things have no list price."""

    uri: str
    days: int
    usd: float
    unpriced: int

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def report(run_key: str, now: datetime | None = None) -> CostReport:
    """Work out the last 31 days as far as that is not done, and write them as JSON and as a page."""
    now = now or datetime.now(UTC)
    sightings.look(now)
    lines = _days(now)
    uri = f"{plans.root_of(run_key)}/costs/costs.json"
    prices = {"instances": instances.price_list()["date"], "tokens": tokens.price_list()["date"]}
    records.writes_object(storage.write_json(uri, {"prices_of": prices, "lines": [asdict(line) for line in lines]}))
    page = cost_page.render([asdict(line) for line in lines], prices, now)
    kept = storage.write_bytes(plans.page_uri(run_key, "costs"), page.encode(), "text/html; charset=utf-8")
    records.writes_object(kept)
    paid = [line for line in lines if line.source != "endpoint in use"]
    usd, unpriced = sum(line.usd or 0 for line in paid), sum(line.usd is None for line in paid)
    log.info("%.2f USD at list price in %d days (%d things have no list price): %s", usd, _DAYS, unpriced, uri)
    return CostReport(uri, _DAYS, round(usd, 4), unpriced)


def _days(now: datetime) -> list[Line]:
    """Return the lines of the last days; those of days that are over are kept when they are first worked out."""
    dates = [now.date() - timedelta(days=number) for number in reversed(range(_DAYS))]
    known = {stored.uri for stored in storage.list_objects(f"s3://{get_settings().bucket}/costs/days/")}
    fresh = _by_day([day for day in dates if _uri(day) not in known])
    for day, lines in fresh.items():
        if _start(day) + timedelta(days=1) + _CLOSING <= now:
            storage.write_json(_uri(day), [asdict(line) for line in lines])
            spending.close_day(day, sum(line.usd or 0 for line in lines if line.source == "descriptions"))
    kept = {day: [Line(**line) for line in storage.read_json(_uri(day))] for day in dates if day not in fresh}
    return [line for day in dates for line in (fresh | kept)[day]]


def _by_day(days: list[date]) -> dict[date, list[Line]]:
    if not days:
        return {}
    start = _start(min(days))
    lines = [*_training(start), *_transforming(start), *_serving(start), *_in_use(start), *_describing(start)]
    return {day: [line for line in lines if line.day == day.isoformat()] for day in days}


def _training(start: datetime) -> Iterator[Line]:
    """Yield training and evaluation jobs that ended since ``start``, by the time that AWS bills."""
    summaries = listed("list_training_jobs", "TrainingJobSummaries", LastModifiedTimeAfter=start)
    for name in (summary["TrainingJobName"] for summary in summaries):
        job = client("sagemaker").describe_training_job(TrainingJobName=name)
        ended, kind = job.get("TrainingEndTime"), job["ResourceConfig"]
        if ended and name.startswith("lookbook-"):
            hours = job.get("BillableTimeInSeconds", 0) / 3600 * kind["InstanceCount"]
            yield _instances(ended, "training", name, kind["InstanceType"], hours)


def _transforming(start: datetime) -> Iterator[Line]:
    """Yield transform jobs that ended since ``start``, from their start to their end."""
    summaries = listed("list_transform_jobs", "TransformJobSummaries", LastModifiedTimeAfter=start)
    for name in (summary["TransformJobName"] for summary in summaries):
        job = client("sagemaker").describe_transform_job(TransformJobName=name)
        began, ended, kind = job.get("TransformStartTime"), job.get("TransformEndTime"), job["TransformResources"]
        if began and ended and name.startswith("lookbook-"):
            hours = (ended - began).total_seconds() / 3600 * kind["InstanceCount"]
            drop_id = tags(job["TransformJobArn"]).get("drop_id")
            yield _instances(ended, "transform", name, kind["InstanceType"], hours, drop_id)


def _serving(start: datetime) -> Iterator[Line]:
    """Yield the endpoint's hours, a line for each day and config."""
    for span in sightings.spans():
        for began, ended in _split(max(span.since, start), span.until):
            hours = span.hours(began, ended)
            yield _instances(began, "endpoint", f"{span.endpoint} ({span.config})", span.instance_type, hours)


def _in_use(start: datetime) -> Iterator[Line]:
    """Yield the hours in which the endpoint was asked, by drop, at the price of what it ran on then."""
    spans = list(sightings.spans())
    columns = ("drop_id", "started_at", "finished_at")
    for row in tables.read("lineage.runs", tables.equals("task_id", _PREDICTING), columns).to_pylist():
        for span in spans:
            for began, ended in _split(max(row["started_at"], start), row["finished_at"]):
                if hours := span.hours(began, ended):
                    name = f"{span.endpoint} ({span.config})"
                    yield _instances(began, "endpoint in use", name, span.instance_type, hours, row["drop_id"])


def _describing(start: datetime) -> Iterator[Line]:
    """Yield what Bedrock was paid for descriptions, by day, drop and model."""
    for one in paid.summed(paid.paid(since=start), ("day", "drop_id", "model_id")):
        usd = None if one.unpriced else round(one.usd, 8)
        yield Line(one.day, "descriptions", one.model_id, usd, 0.0, one.input_tokens, one.output_tokens, one.drop_id)


def _instances(
    at: datetime, source: Source, name: str, instance_type: str, hours: float, drop_id: str | None = None
) -> Line:
    price: float | None = instances.price_list()["usd_per_hour"].get(instance_type)
    usd = None if price is None else round(hours * price, 6)
    return Line(_day(at), source, f"{name}, {instance_type}", usd, round(hours, 6), drop_id=drop_id)


def _split(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Cut a time at every midnight, UTC."""
    while since < until:
        end = min(_start(since.astimezone(UTC).date()) + timedelta(days=1), until)
        yield since, end
        since = end


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _uri(day: date) -> str:
    return f"s3://{get_settings().bucket}/costs/days/{day.isoformat()}.json"
