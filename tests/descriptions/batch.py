"""Bedrock's side of a batch job, as its user guide lays it out: answers to the records of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from lookbook import storage
from lookbook.descriptions import batch_files, batch_jobs, plans
from lookbook.descriptions.plans import Plan, Shard, ShardPlan, WorkItem

ROOT = "s3://lookbook/plans/run"
JOB_ID = "abcdef123456"

Record = dict[str, Any]


def planned(*groups: list[WorkItem], mode: str = "batch") -> str:
    """Store a plan whose shards have these items; return its URI."""
    plan = Plan(f"{ROOT}/plan.json", "2026-11-16", "run", "1", ())
    plans.write_plan(plan)
    shards = []
    for number, items in enumerate(groups):
        uri = f"{ROOT}/items/{number:05d}.json"
        plans.write_items(uri, items)
        shards.append(Shard(uri, f"job {number + 1}", len(items)))
    plans.write_shards(ROOT, ShardPlan("2026-11-16", mode, None, tuple(shards), ()))
    return plan.uri


def asked(request: dict[str, Any]) -> list[Record]:
    """Return the records of a job's input."""
    return [orjson.loads(line) for _, line in batch_files.read_lines(batch_jobs.input_of(request))]


def output(text: str, stop_reason: str = "end_turn", input_tokens: int = 1000, output_tokens: int = 100) -> Record:
    """Return what a Claude model answers to InvokeModel."""
    return {
        "id": "msg_bdrk_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-3-5-haiku-20241022",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
    }


def leave(
    request: dict[str, Any],
    answer: Callable[[Record], Record],
    only: Iterable[Record] | None = None,
    job_id: str = JOB_ID,
) -> dict[str, Any]:
    """Write a job's output, newest record first; return its reference.

    Args:
        request: of the job.
        answer: what becomes of a record beside its id and its input: ``modelOutput`` or ``error``.
        only: the records that the job got to; all, if none are given.
        job_id: the folder of the output.
    """
    records = asked(request) if only is None else list(only)
    lines = [orjson.dumps({**record, **answer(record)}) for record in reversed(records)]
    folder = f"{batch_jobs.output_of(request)}{job_id}/"
    storage.write_bytes(f"{folder}00000.jsonl.out", b"\n".join(lines) + b"\n")
    storage.write_json(f"{folder}manifest.json.out", {"totalRecordCount": len(lines)})
    return {
        "job_name": request["jobName"],
        "job_arn": f"arn:aws:bedrock:us-east-1:000000000000:model-invocation-job/{job_id}",
        "status": "Completed",
        "asked_name": request["jobName"],
        "output_uri": batch_jobs.output_of(request),
    }
