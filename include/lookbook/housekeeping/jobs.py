"""Jobs, and an endpoint that lives only for runs, that go on and cost although the DAG run they are for is over.

Whoever fails a run by hand, or deletes it, leaves its job running; so does a worker that is lost. A job is stopped
only if its run is known and over, and only after some time, in which somebody may clear the task: it would attach to
the job again. Every other job of Lookbook's that looks odd is told, and left to a person.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from lookbook.aws import client
from lookbook.housekeeping.inventory import PROJECT, listed, tags
from lookbook.housekeeping.plans import Expiry, Kind, Plan
from lookbook.serving import life
from lookbook.settings import get_settings
from lookbook.training import registry

log = logging.getLogger(__name__)

RunEnded = Callable[[str, str | None], bool | None]
"""Tells of a DAG id and a run id whether that run is over, ``None`` if there is no such run; without a run id, whether
all runs of the DAG are."""

_HOUSEKEEPING = life.User("housekeeping", "")  # it needs no endpoint, and may delete one
_TIME_TO_CLEAR = timedelta(hours=2)
_RUNNING = "InProgress"


@dataclass(frozen=True)
class _JobKind:
    """How jobs of a kind are listed and stopped, which DAG starts them, and whether several runs may share one."""

    kind: Kind
    dag_id: str
    listing: tuple[str, str]
    name: str
    stop: str
    shared: bool


_KINDS = (
    _JobKind(
        kind="training_job",
        dag_id="retrain_attribute_model",
        listing=("list_training_jobs", "TrainingJobSummaries"),
        name="TrainingJobName",
        stop="stop_training_job",
        shared=False,
    ),
    _JobKind(
        kind="transform_job",
        dag_id="describe_products",
        listing=("list_transform_jobs", "TransformJobSummaries"),
        name="TransformJobName",
        stop="stop_transform_job",
        shared=True,
    ),
)


def plan(has_ended: RunEnded, now: datetime | None = None) -> Plan:
    """Plan which jobs are to be stopped, and tell which look odd.

    Args:
        has_ended: tells whether a run is over.
        now: the time to judge ages by.
    """
    now = now or datetime.now(UTC)
    expiries: list[Expiry] = []
    left: list[str] = []
    for kind, summary, run_id in _running():
        name, since = summary[kind.name], summary["CreationTime"]
        over = has_ended(kind.dag_id, run_id) if run_id or kind.shared else None
        if over and now - since > _TIME_TO_CLEAR:
            whose = f"run {run_id}" if run_id else "every run"
            expiries.append(Expiry(kind.kind, name, f"{whose} of {kind.dag_id} is over", since))
        elif over is None:
            left.append(f"{kind.kind} {name} runs since {since:%Y-%m-%d %H:%M}, and no run is known to have started it")
    return Plan("jobs", now, (*expiries, *_needless_endpoint(has_ended, now)), {}, tuple(left))


def expire(expiries: Sequence[Expiry], has_ended: RunEnded) -> None:
    """Stop jobs, and delete the endpoint that no run needs; what has ended meanwhile is no error."""
    kinds = {kind.kind: kind for kind in _KINDS}
    for expiry in expiries:
        if expiry.kind == "endpoint":
            life.close_for(_HOUSEKEEPING, _over(has_ended))
            continue
        kind = kinds[expiry.kind]
        try:
            getattr(client("sagemaker"), kind.stop)(**{kind.name: expiry.name})
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
                raise
            log.info("%s has ended by itself: %s", expiry.name, error.response["Error"]["Message"])


def _needless_endpoint(has_ended: RunEnded, now: datetime) -> Iterator[Expiry]:
    """Yield the endpoint that outlived the runs it was created for: one of them was killed, and could not delete it."""
    endpoint = registry.describe_endpoint(get_settings().endpoint_name)
    if endpoint and now - endpoint["LastModifiedTime"] > _TIME_TO_CLEAR and life.is_needless(_over(has_ended)):
        why = "LOOKBOOK_ENDPOINT_LIFE is run, and the runs that needed it are over"
        yield Expiry("endpoint", endpoint["EndpointName"], why, endpoint["CreationTime"])


def _over(has_ended: RunEnded) -> life.IsOver:
    """Return what tells whether a run is over; one that is gone is."""
    return lambda dag_id, run_id: has_ended(dag_id, run_id) is not False


def _running() -> Iterator[tuple[_JobKind, dict[str, Any], str | None]]:
    """Yield every unfinished job of Lookbook's with the id of the run that started it, if it says."""
    for kind in _KINDS:
        for summary in listed(*kind.listing, StatusEquals=_RUNNING):
            told = tags(summary[kind.name.replace("Name", "Arn")])
            if told.get("project") == PROJECT:
                yield kind, summary, None if kind.shared else told.get("run_id")
