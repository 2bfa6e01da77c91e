"""The tasks that have history described by Bedrock batch jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from airflow.sdk import TaskGroup, TriggerRule, task_group

from lookbook_airflow.clearing import HANDS_ON, PAYS_ONCE
from lookbook_airflow.defaults import Pool
from lookbook_airflow.description_runs import side_by_side
from lookbook_airflow.lineage import traced_short_circuit, traced_task
from lookbook_airflow.links import ProductLink, linked
from lookbook_airflow.operators.batch import BatchJobOperator


class Batched(NamedTuple):
    """Results of the tasks of a batch: its jobs, what was collected from them, and what came of the rest."""

    jobs: Any
    collected: Any
    rest: Any


def batched(plan: Any, approved: Any, describe: Any) -> Batched:
    """Add the tasks that describe a plan by batch jobs, and what the jobs don't finish on demand.

    Args:
        plan: the plan's reference, another task's result.
        approved: the task after which the plan may be worked on. The requests are written beside the cutting of the
            rest, so that they take no shard's place.
        describe: the task that describes a shard.
    """
    with TaskGroup("batch", prefix_group_id=False, tooltip="History: jobs at half the price, within hours"):
        requests = batch_requests(plan)
        approved >> requests
        jobs = batch_jobs(requests)
        collected = one_batch.partial(plan=plan).expand(config=jobs)
        left = batch_rest(requests, collected)
        rest = linked(describe.override(task_id="describe_rest").expand(shard=left), ProductLink())
    return Batched(jobs, collected, rest)


@task_group(prefix_group_id=False)
def one_batch(plan: Any, config: Any) -> Any:
    """Run one job and collect what it left, whatever becomes of the others."""
    job = BatchJobOperator(
        task_id="run_batch",
        config=config,
        pool=Pool.BATCH,
        map_index_template="{{ task.config['jobName'] }}",
        execution_timeout=timedelta(days=8),  # the longest deadline that may be set, and time to stop a job
        retries=10,  # the account's quota of jobs may be taken for hours
    )
    return collect_batch(plan=plan, job=job.output)


@traced_short_circuit(ignore_downstream_trigger_rules=False, multiple_outputs=False)
def batch_requests(plan: dict) -> dict:
    """Write the input of the plan's batch jobs, if it goes by batch (*Mode*, `LOOKBOOK_BATCH_FROM`)."""
    from lookbook.descriptions import batch_requests

    return batch_requests.batch_requests(plan["uri"]) or {}


@traced_task(clear=HANDS_ON)
def batch_jobs(requests: dict) -> list[dict]:
    """Hand out the jobs: what each mapped task is to ask Bedrock for."""
    return requests["jobs"]


@traced_task(
    clear=PAYS_ONCE,
    pool=Pool.DESCRIBE,
    map_index_template="{{ task.op_kwargs['job']['job_name'] }}",
    execution_timeout=timedelta(hours=2),
)
async def collect_batch(plan: dict, job: dict) -> dict:
    """Judge what a job answered and store it, each product's outcome once; leave the rest for on demand."""
    from lookbook.descriptions import batch_results, spending

    with spending.entered():  # whatever the month's budget: the answers are paid for
        return await batch_results.collect(plan["uri"], job)


@traced_task(clear=HANDS_ON, trigger_rule=TriggerRule.ALL_DONE)
def batch_rest(requests: dict | None, collected: Any) -> list[dict]:
    """Hand out what the jobs didn't finish: too few for a job, unanswered, or not faithful at once."""
    unbatched = requests["rest"] if requests else []
    left = [*unbatched, *(shard for one in each(collected) for shard in one["rest"])]
    share = 1 / max(1, min(len(left), side_by_side()))
    return [shard | {"share": share} for shard in left]


def each(results: Any) -> list[dict]:
    """Return what the members of a mapped task or group returned, as a list; none if they didn't run.

    Of a mapped group with one member Airflow hands over that member's result itself.
    """
    if results is None:
        return []
    return [results] if isinstance(results, dict) else list(results[:])
