"""
### Describe products

Writes one description per product of a published drop from its **facts** (the catalogue's attributes and, where it
states none, the attribute model's answers), checks each against those facts and publishes the faithful ones.

| | |
|---|---|
| **Starts** | when a drop reaches `product_catalog`; by hand for a *Drop*, or for the ids in *Product ids* |
| **Emits** | `product_descriptions`, partitioned by drop |
| **Asks** | the model behind the endpoint; from `LOOKBOOK_TRANSFORM_FROM` pictures on, in a batch transform job |
| **Fan-out** | up to `LOOKBOOK_PER_PRODUCT_LIMIT` products one mapped task each, named by product; above it, shards |
| **Safe to clear?** | Yes, any task: a finished product is never paid for twice |
| **When it fails** | `docs/runbooks/describe_products.md` |
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Param, PartitionedAssetTimetable, TriggerRule, dag

from lookbook_airflow.assets import PRODUCT_CATALOG, PRODUCT_DESCRIPTIONS
from lookbook_airflow.defaults import DEFAULT_ARGS, Pool, Tag, optional_drop
from lookbook_airflow.endpoint_life import with_endpoint
from lookbook_airflow.lineage import collect_lineage, drop_of, traced_task
from lookbook_airflow.transforming import transformed


@dag(
    dag_display_name="Describe products",
    schedule=PartitionedAssetTimetable(assets=PRODUCT_CATALOG),
    catchup=False,
    max_active_runs=2,
    default_args=DEFAULT_ARGS,
    tags=[Tag.DESCRIPTIONS, Tag.TIER_1],
    doc_md=__doc__,
    params={
        "drop": optional_drop(),
        "product_ids": Param(
            [],
            type="array",
            items={"type": "string", "pattern": "^[0-9]{1,12}$"},
            title="Product ids",
            description="Only these products; empty: the whole drop",
        ),
    },
)
def describe_products():
    @traced_task
    def plan(**context: Any) -> dict:
        """Choose the products: those of the drop, or the ids asked for."""
        from lookbook.descriptions import planning

        ids = context["params"]["product_ids"]
        return planning.plan_products(drop_of(context), ids, context["run_id"]).reference()

    @traced_task(pool=Pool.PREDICT, execution_timeout=timedelta(hours=4), trigger_rule=TriggerRule.NONE_FAILED)
    async def predict_attributes(plan: dict, job: dict | None) -> dict:
        """Ask the model about every product that no transform job answered for; without a model, say so and go on."""
        from lookbook.serving import prediction

        return (await prediction.predict(plan["uri"], job)).reference()

    @traced_task
    def shard(plan: dict, predictions: dict) -> list[dict]:
        """Merge facts, leave out what is unchanged, and cut the rest into mapped tasks."""
        from lookbook.descriptions import planning

        return planning.plan_shards(plan["uri"], predictions).references()

    @traced_task(
        pool=Pool.DESCRIBE,
        map_index_template="{{ task.op_kwargs['shard']['label'] }}",
        execution_timeout=timedelta(hours=1),
    )
    async def describe(shard: dict) -> dict:
        """Write and check one product's description, or a shard of them."""
        from lookbook.descriptions import writing

        return await writing.describe_shard(shard)

    @traced_task(pool=Pool.PUBLISH, outlets=[PRODUCT_DESCRIPTIONS], trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    def publish(plan: dict, results: Any, outlet_events: Any = None, dag_run: Any = None) -> dict:
        """Commit every product's outcome in one go: published, withheld or failed, with the reason."""
        from lookbook.descriptions import publishing

        if not dag_run.partition_key:
            outlet_events[PRODUCT_DESCRIPTIONS].add_partitions(plan["drop_id"])
        return publishing.publish(plan["uri"], list(results[:])).summary()

    planned = plan()
    job = transformed(planned)
    predicted = predict_attributes(planned, job)
    with_endpoint(job, predicted)
    described = describe.expand(shard=shard(planned, predicted))
    published = publish(planned, described)
    published >> collect_lineage()
    # Publishing goes on past a product whose task failed; the run as a whole must not look as if nothing had.
    [described, published] >> EmptyOperator(
        task_id="all_described",
        trigger_rule=TriggerRule.NONE_FAILED,
        doc_md="Fails the run if any product's task failed. Mend the cause and clear those map indexes.",
    )


describe_products()
