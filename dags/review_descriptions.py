"""
### Review descriptions

Shows people the descriptions that were withheld, with the facts, the picture and what the check found, to be edited
and published or to stay withheld; and a sample of the published ones, to be withdrawn if they are no good.

| | |
|---|---|
| **Starts** | daily at 06:00 UTC; by hand, for one *Drop* only if you like |
| **Asks you** | under *Required Actions*, a task each, at most `LOOKBOOK_REVIEW_LIMIT` a run; the rest next time |
| **Samples** | `LOOKBOOK_REVIEW_SHARE` of the published descriptions, always the same ones |
| **Without an answer** | within `LOOKBOOK_REVIEW_WAIT_H` a description stays what it is, and is asked about again |
| **Emits** | `product_descriptions`, for the drops in which something changed |
| **Safe to clear?** | Yes, any task; a cleared `ask` asks again |
| **When it fails** | `docs/runbooks/review_descriptions.md` |
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import CronTriggerTimetable, TriggerRule, dag

from lookbook_airflow.assets import PRODUCT_DESCRIPTIONS
from lookbook_airflow.clearing import ASKS_AGAIN, documented
from lookbook_airflow.defaults import DEFAULT_ARGS, Pool, Tag, about, alerts, optional_drop
from lookbook_airflow.lineage import collect_lineage, drop_of, traced_short_circuit, traced_task
from lookbook_airflow.operators.review import ReviewOperator


@dag(
    dag_display_name="Review descriptions",
    schedule=CronTriggerTimetable("0 6 * * *", timezone="UTC"),
    catchup=False,
    # Two runs would ask about the same descriptions.
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    **alerts(),
    tags=[Tag.DESCRIPTIONS, Tag.TIER_2],
    **about(__doc__),
    params={"drop": optional_drop()},
)
def review_descriptions():
    @traced_task
    def choose(**context: Any) -> list[dict]:
        """Choose what to ask about: withheld descriptions first, then the sample of published ones."""
        from lookbook.descriptions import reviews

        return reviews.choose(drop_of(context), context["run_id"])

    ask = ReviewOperator.partial(
        task_id="ask",
        map_index_template="{{ task.question['label'] }}",
        doc_md=documented("Wait for a person to publish, edit, keep or withdraw one description.", ASKS_AGAIN),
    ).expand(question=choose())

    @traced_short_circuit(
        multiple_outputs=False,
        pool=Pool.PUBLISH,
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
        ignore_downstream_trigger_rules=False,
    )
    def commit(run_id: str) -> dict:
        """Put what was answered into the descriptions' rows, in one commit; go on only if something changed."""
        from lookbook.descriptions import judgements

        reviewed = judgements.commit(run_id)
        return reviewed.reference() if reviewed.snapshot else {}

    @traced_task(pool=Pool.PUBLISH, outlets=[PRODUCT_DESCRIPTIONS])
    def export(reviewed: dict, outlet_events: Any = None) -> list[dict]:
        """Write the files for the shop anew of every drop in which something changed."""
        from lookbook.descriptions import exporting

        outlet_events[PRODUCT_DESCRIPTIONS].add_partitions(reviewed["drops"])
        return [exporting.export(drop_id).reference() for drop_id in reviewed["drops"]]

    committed = commit()
    ask >> committed
    [committed, export(committed)] >> collect_lineage()


review_descriptions()
