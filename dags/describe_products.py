"""
### Describe products

Writes one description per product of a published drop from its **facts** (the catalogue's attributes and, where it
states none, the attribute model's answers), checks each against those facts and publishes the faithful ones.

| | |
|---|---|
| **Starts** | when a drop reaches `product_catalog`; by hand for a *Drop*, for *Product ids*, for all that is *Stale* |
| **Emits** | `product_descriptions`, partitioned by drop |
| **Asks** | the model behind the endpoint; from `LOOKBOOK_TRANSFORM_FROM` pictures on, in a batch transform job |
| **Asks you** | before a run over `LOOKBOOK_RUN_BUDGET_USD`; `LOOKBOOK_MONTH_BUDGET_USD` stops all |
| **Fan-out** | up to `LOOKBOOK_PER_PRODUCT_LIMIT` products one mapped task each, named by product; above it, shards |
| **History** | from `LOOKBOOK_BATCH_FROM` products on, or by *Mode*, in Bedrock batch jobs; the rest in shards |
| **Safe to clear?** | Yes, any task: a finished product is never paid for twice |
| **When it fails** | `docs/runbooks/describe_products.md` |
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import PartitionedAssetTimetable, TriggerRule, dag
from airflow.sdk.exceptions import AirflowSkipException

from lookbook_airflow.assets import PRODUCT_CATALOG, PRODUCT_DESCRIPTIONS
from lookbook_airflow.batching import batched, each
from lookbook_airflow.clearing import HANDS_ON, PAYS_ONCE, documented
from lookbook_airflow.console_links import EndpointLink
from lookbook_airflow.defaults import DEFAULT_ARGS, Pool, Tag, about, alerts
from lookbook_airflow.describing import export, findings_reported
from lookbook_airflow.description_runs import description_params, find_drops, one_run_each, side_by_side
from lookbook_airflow.endpoint_life import with_endpoint
from lookbook_airflow.labels import SHARD_LABEL, labelled
from lookbook_airflow.lineage import collect_lineage, drop_of, traced_short_circuit, traced_task
from lookbook_airflow.links import ProductLink, linked
from lookbook_airflow.operators.approval import ApprovalIfNeededOperator
from lookbook_airflow.transforming import transformed


@dag(
    dag_display_name="Describe products",
    schedule=PartitionedAssetTimetable(assets=PRODUCT_CATALOG),
    catchup=False,
    # Pools and priorities share the work out. A fresh drop's run must not wait in line behind those of a backfill.
    max_active_runs=64,
    default_args=DEFAULT_ARGS,
    **alerts(deadline="describe"),
    tags=[Tag.DESCRIPTIONS, Tag.TIER_1],
    **about(__doc__),
    params=description_params(),
)
def describe_products():
    @traced_short_circuit(multiple_outputs=False)
    def plan(others: list, **context: Any) -> dict:
        """Choose the products: those of the drop, or the ids asked for."""
        from lookbook.descriptions import planning, selection

        asked = selection.Asked.of(drop_of(context), context["params"])
        planned = planning.plan_run(asked, others, context["run_id"])
        return planned.reference() if planned else {}

    @traced_task(pool=Pool.PREDICT, execution_timeout=timedelta(hours=4), trigger_rule=TriggerRule.NONE_FAILED)
    async def predict_attributes(plan: dict, job: dict | None) -> dict:
        """Ask the model about every product that no transform job answered for; without a model, say so and go on."""
        from lookbook.serving import prediction

        return (await prediction.predict(plan["uri"], job)).reference()

    @traced_task(multiple_outputs=True)
    def estimate(plan: dict, predictions: dict, params: dict) -> dict:
        """Merge facts, leave out what is unchanged, cut the rest, and say what it will take; over budget, ask."""
        from lookbook.descriptions import budget, planning

        shards = planning.plan_shards(plan["uri"], predictions, params["mode"], side_by_side())
        return budget.judge(shards).reference()

    @traced_task(clear=HANDS_ON)
    def shard(plan: dict) -> list[dict]:
        """Hand out the work: what each mapped task is to do."""
        from lookbook.descriptions import planning

        return planning.on_demand(plan["uri"])

    @traced_task(
        clear=PAYS_ONCE,
        pool=Pool.DESCRIBE,
        map_index_template=SHARD_LABEL,
        execution_timeout=timedelta(hours=4),  # a shard at a low quota; each product has a deadline of its own
        # A killed worker or scheduler takes a try as a failure does; Bedrock's own faults are waited for in the task.
        retries=6,
        max_retry_delay=timedelta(minutes=2),
    )
    async def describe(shard: dict, ti: Any = None) -> dict:
        """Write and check one product's description, or a shard of them."""
        from lookbook.descriptions import budget, writing

        with budget.within_month():
            return labelled(shard, await writing.describe_shard(shard, last_try=ti.try_number > ti.max_tries))

    @traced_task(pool=Pool.PUBLISH, outlets=[PRODUCT_DESCRIPTIONS], trigger_rule=TriggerRule.ALL_DONE)
    def publish(work: list, results: list, outlet_events: Any = None, dag_run: Any = None, ti: Any = None) -> dict:
        """Commit every product's outcome in one go: published, withheld or failed, with the reason."""
        from lookbook.descriptions import estimate, publishing

        plan, done = ti.xcom_pull(task_ids="plan"), [one for many in results for one in each(many)]
        if not any(work) and not done:  # all is unchanged, or what it costs was not approved
            raise AirflowSkipException("There is nothing to publish: nothing was handed out.")
        if not dag_run.partition_key:
            outlet_events[PRODUCT_DESCRIPTIONS].add_partitions(plan["drop_id"])
        return estimate.compared(plan["uri"], publishing.publish(plan["uri"], done).summary())

    runs = find_drops()
    one_run_each(runs)
    planned = plan(runs)
    job = transformed(planned)
    predicted = linked(predict_attributes(planned, job), EndpointLink())
    with_endpoint(job, predicted)
    estimated = estimate(planned, predicted)
    approve = ApprovalIfNeededOperator(
        task_id="approve_cost",
        needed=estimated["needs_approval"],
        subject="Describe at this cost?",
        body="{{ ti.xcom_pull(task_ids='estimate', key='body') }}",
        doc_md="Wait for a person's word if the run may cost more than `LOOKBOOK_RUN_BUDGET_USD`.",
    )
    work = shard(planned)
    approve >> work
    described = linked(describe.expand(shard=work), ProductLink())
    by_batch = batched(planned, approve, describe)
    published = publish([work, by_batch.jobs], [described, by_batch.collected, by_batch.rest])
    [export(published), findings_reported(planned, predicted)] >> collect_lineage()
    # Publishing goes on past a product whose task failed; the run as a whole must not look as if nothing had.
    [described, *by_batch, published] >> EmptyOperator(
        task_id="all_described",
        trigger_rule=TriggerRule.NONE_FAILED,
        doc_md=documented("Fails the run if any product's task failed. Mend the cause and clear those.", HANDS_ON),
    )


describe_products()
