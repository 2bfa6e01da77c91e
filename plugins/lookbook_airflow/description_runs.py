"""What a run that describes products is asked for, and what it does if that lies in several drops."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param
from airflow.sdk.configuration import conf

from lookbook_airflow.clearing import HANDS_ON, SAME_AGAIN, documented
from lookbook_airflow.defaults import POOL_SLOTS, Pool, optional_drop
from lookbook_airflow.lineage import drop_of, traced_task


def description_params() -> dict[str, Param]:
    """Return the parameters of a run that describes products."""
    return {
        "drop": optional_drop(),
        "product_ids": Param(
            [],
            type="array",
            items={"type": "string", "pattern": "^[0-9]{1,12}$"},
            title="Product ids",
            description="Only these products; empty: the whole drop. Without a drop, each product's newest",
        ),
        "stale": Param(
            False,
            type="boolean",
            title="Stale",
            description="Without drop and ids: all drops with a description that is missing or no longer up to date",
        ),
        "redrive": Param(
            "none",
            type="string",
            enum=["none", "failed", "withheld", "both"],
            title="Redrive",
            description="Only products whose description failed or was withheld; what was withheld is asked for anew",
        ),
        "mode": Param(
            "auto",
            type="string",
            enum=["auto", "per_product", "sharded", "batch"],
            title="Mode",
            description="A task for each product, shards, or Bedrock batch jobs; auto: by the number of products",
        ),
    }


def side_by_side() -> int:
    """Return how many mapped tasks of one run may describe at the same time."""
    limits = (conf.getint("core", "parallelism"), conf.getint("core", "max_active_tasks_per_dag"))
    return int(min(POOL_SLOTS[Pool.DESCRIBE][0], *limits))


@traced_task(clear=HANDS_ON)
def find_drops(**context: Any) -> list[dict]:
    """Name the runs to start if what is asked for lies in several drops: each drop is described by a run of its own."""
    from lookbook.descriptions import selection

    asked = selection.Asked.of(drop_of(context), context["params"])
    return selection.runs_of(asked, context["run_id"])


def one_run_each(runs: Any) -> Any:
    """Add the task that starts the runs that :func:`find_drops` names."""
    return TriggerDagRunOperator.partial(
        task_id="one_run_each",
        trigger_dag_id="describe_products",
        logical_date=None,
        skip_when_already_exists=True,
        map_index_template="{{ task.conf['drop'] }}",
        doc_md=documented(
            "Start a run for each drop; skipped where this one describes its own drop, or has started it before.",
            SAME_AGAIN,
        ),
    ).expand_kwargs(runs)
