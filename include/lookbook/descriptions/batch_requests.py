"""A run's work as Bedrock batch jobs, for history: half the price, answers within hours.

What makes no job, because it is too little, fits no record or is finished already, goes on demand or nowhere.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from lookbook import storage
from lookbook.descriptions import batch_files, batch_jobs
from lookbook.descriptions.batch_files import Limits, WrittenJob
from lookbook.descriptions.batch_records import line_of, unfit
from lookbook.descriptions.conversation import first_messages, request_of
from lookbook.descriptions.plans import Shard, WorkItem, read_items, read_plan, read_shards, write_items
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

MODE = "batch"


def batch_requests(plan_uri: str, limits: Limits | None = None) -> dict[str, list[dict[str, Any]]] | None:
    """Write the input of a plan's batch jobs; return ``jobs``, their requests, and ``rest``, shards for on demand.

    Asked again in the same run for the same work, it returns what it returned before, also when some of it is
    finished by then: an answer of a job that is paid for is not asked for again.

    Args:
        plan_uri: of :func:`lookbook.descriptions.planning.plan_products`.
        limits: of a job.

    Returns:
        ``None`` when the plan goes another way.
    """
    plan = read_plan(plan_uri)
    shards = read_shards(plan.root)
    if shards.mode != MODE:
        log.info("No batch job: the plan is %s.", shards.mode)
        return None
    jobs: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for shard in shards.shards:  # one in memory at a time
        prepared = _prepared(plan.root, shard, limits or Limits())
        jobs += prepared["jobs"]
        rest += prepared["rest"]
    for job in jobs:
        records.writes("prefix", batch_jobs.input_of(job), job["clientRequestToken"])
    records.counts(jobs=len(jobs), on_demand=sum(reference["count"] for reference in rest))
    return {"jobs": jobs, "rest": rest}


def items_uri(root: str, job_name: str) -> str:
    """Return where the work items of a run's job lie; ``root`` is the run's prefix."""
    return f"{root}/items/{job_name}.json"


def store_rest(
    root: str, name: str, items: Sequence[WorkItem], firsts: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Store what a job doesn't finish as shards to be described on demand; return their references.

    Args:
        root: the run's prefix.
        name: what the shards are the rest of.
        items: the work items.
        firsts: by input hash, the Converse responses that were paid for already and whose texts must be mended.
    """
    size = get_settings().shard_size
    groups = [items[start : start + size] for start in range(0, len(items), size)]
    return [_stored_rest(root, f"{name}-rest-{number:05d}", group, firsts or {}) for number, group in enumerate(groups)]


def _stored_rest(root: str, name: str, items: Sequence[WorkItem], firsts: Mapping[str, Any]) -> dict[str, Any]:
    uri = f"{root}/items/{name}.json"
    write_items(uri, list(items))
    reference = asdict(Shard(uri, f"{name} ({len(items)} products)", len(items)))
    answered = {item.input_hash: firsts[item.input_hash] for item in items if item.input_hash in firsts}
    if not answered:
        return reference
    storage.write_json(f"{root}/firsts/{name}.json", answered)
    return reference | {"firsts": f"{root}/firsts/{name}.json"}


def _prepared(root: str, shard: Shard, limits: Limits) -> dict[str, Any]:
    """Return the jobs and the rest of a shard, made now or before."""
    items, uri = read_items(shard.uri), shard.uri.replace("/items/", "/batches/")
    of = hashlib.sha256(" ".join(item.input_hash for item in items).encode()).hexdigest()
    stored = storage.read_version(uri)
    if stored and (before := orjson.loads(stored[0]))["of"] == of:
        log.info("The jobs of %s were prepared before: %d of them.", shard.label, len(before["jobs"]))
        return dict(before)
    jobs, left = _divided(root, _unfinished(items), limits)
    name = uri.rpartition("/")[2].removesuffix(".json")
    prepared = {"of": of, "jobs": jobs, "rest": store_rest(root, f"unbatched-{name}", left)}
    records.writes_object(storage.write_json(uri, prepared))
    return prepared


def _unfinished(items: Sequence[WorkItem]) -> list[WorkItem]:
    """Return the items that have no outcome yet; one listing is cheaper than a look at each."""
    prefixes = {item.result_uri.rpartition("/")[0] + "/" for item in items}
    known = {stored.uri for prefix in prefixes for stored in storage.list_objects(prefix)}
    return [item for item in items if item.result_uri not in known]


def _divided(root: str, items: Sequence[WorkItem], limits: Limits) -> tuple[list[dict[str, Any]], list[WorkItem]]:
    """Upload the input of as many jobs as it takes; return their requests, and the items that are in none."""
    by_id = {item.input_hash: item for item in items}
    jobs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="lookbook-batch-") as directory:
        for job in batch_files.write_jobs(_lines(items), Path(directory), limits):
            if len(job.record_ids) >= limits.min_records:
                jobs.append(_submitted(root, job, [by_id.pop(record_id) for record_id in job.record_ids]))
    if by_id:
        log.info("%d products go on demand: too few for a job, or no record.", len(by_id))
    return jobs, list(by_id.values())


def _submitted(root: str, job: WrittenJob, items: list[WorkItem]) -> dict[str, Any]:
    request = batch_jobs.submission(job, items[0].text_model_id, items[0].drop_id)
    write_items(items_uri(root, request["jobName"]), items)
    log.info("Job %s: %d records, %.1f MB.", request["jobName"], len(items), job.size / 1e6)
    return request


def _lines(items: Sequence[WorkItem]) -> Iterator[tuple[str, bytes]]:
    askable = [item for item in items if item.facts.facts]
    for item, picture in zip(askable, _pictures(askable), strict=True):
        if picture is not None and hashlib.sha256(picture).hexdigest() != item.picture_sha256:
            continue  # on demand, it is recorded as failed
        try:
            request = request_of(item, first_messages(item), picture)
        except PermanentError as error:
            log.warning("%s goes on demand: %s", item.label, error)
            continue
        if why := unfit(item.text_model_id, request):
            log.warning("No batch job: %s.", why)
            return
        yield item.input_hash, line_of(item.input_hash, request)


def _pictures(items: Sequence[WorkItem]) -> Iterator[bytes | None]:
    """Yield what goes along with each item: its picture, empty where that is gone; ``None`` where none goes along."""
    if not get_settings().description_picture:
        yield from (None for _ in items)
        return
    wanted = storage.read_all([item.picture_uri for item in items if item.picture_uri])
    for item in items:
        yield (next(wanted) or b"") if item.picture_uri else None
