"""
### Requeue drop

Judges the quarantined rows of a published **drop** again, after rows were mended by hand, the suite was relaxed or
the vocabulary changed, without reading the drop again: from the candidates that its last publishing left. Rows that
pass now are published.

| | |
|---|---|
| **Starts** | by hand, with *Drop*; with *Rows* if some were mended, with *Reason* if only some are meant |
| **Waits** | while another run works on the same drop |
| **Emits** | `product_catalog`, partitioned by drop; counts of rows and of products added, removed, changed |
| **Safe to clear?** | Yes, any task: a drop's rows are replaced, never added twice |
| **When it fails** | `docs/runbooks/requeue_drop.md` |
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag

from lookbook_airflow.assets import PRODUCT_CATALOG
from lookbook_airflow.defaults import DEFAULT_ARGS, Pool, Tag, about, alerts, max_rejected_share
from lookbook_airflow.lineage import collect_lineage, traced_task
from lookbook_airflow.links import DataDocsLink, linked
from lookbook_airflow.runs import keep_drop, take_drop


@dag(
    dag_display_name="Requeue drop",
    schedule=None,
    catchup=False,
    max_active_runs=2,
    default_args=DEFAULT_ARGS,
    **alerts(),
    tags=[Tag.CATALOG, Tag.TIER_2],
    **about(__doc__),
    params={
        "drop": Param(
            type="string",
            pattern=r"^\d{4}-\d{2}-\d{2}$",
            title="Drop",
            description="The drop's Monday",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            pattern=r"^[a-z_]+$",
            title="Reason",
            description="Only rows quarantined for this reason code, and mended ones; empty: every quarantined row",
        ),
        "rows": Param(
            None,
            type=["null", "string"],
            pattern=r"^s3://[a-z0-9.-]+/mended/\d{4}-\d{2}-\d{2}/[A-Za-z0-9_][A-Za-z0-9._-]*\.csv$",
            title="Rows",
            description="Rows mended by hand: s3://<bucket>/mended/<drop>/<name>.csv (docs/runbooks/requeue_drop.md)",
        ),
        "max_rejected_share": max_rejected_share(),
    },
)
def requeue_drop():
    # Its retries span 25 minutes: time for another run of the drop to end.
    @traced_task(pool=Pool.READ, retries=6)
    def requeue(params: dict, run_id: str) -> dict:
        """Take the drop and the candidates of its last publishing, with mended rows, in today's vocabulary."""
        from airflow.sdk import get_current_context

        from lookbook.catalog import requeueing

        drop_id = take_drop(get_current_context())
        return requeueing.requeue(drop_id, run_id, params["reason"], params["rows"]).reference()

    @traced_task(pool=Pool.READ, execution_timeout=timedelta(hours=1))
    def validate(requeued: dict, params: dict, ti: Any = None) -> dict:
        """Run today's suite over the whole drop; refuse it if too much of it is bad."""
        from lookbook.quality import validating

        most = params["max_rejected_share"]
        return validating.validate(requeued["uri"], max_rejected_share=most, task_url=ti.log_url).reference()

    @traced_task
    def stage(requeued: dict, validation: dict, **context: Any) -> dict:
        """Write products and quarantine to the drop's audit branches; rows of other reasons stay in quarantine."""
        from lookbook.catalog import publishing, requeueing

        keep_drop(context)
        verdict_uri = requeueing.keep_others(requeueing.Requeued(**requeued), validation["uri"])
        return publishing.stage(requeued["uri"], verdict_uri).reference()

    @traced_task(pool=Pool.PUBLISH, outlets=[PRODUCT_CATALOG])
    def publish(staged: dict, **context: Any) -> dict:
        """Audit the branches (read = published + quarantined), move `main` to them, record the difference."""
        from lookbook.catalog import ingests, publishing

        keep_drop(context)
        published = publishing.publish(publishing.Staged(**staged))
        context["outlet_events"][PRODUCT_CATALOG].add_partitions(published.drop_id)
        difference = ingests.record_difference(published, staged["validation_uri"])
        return published.reference() | {"difference": difference.reference()}

    requeued = requeue()
    validation = linked(validate(requeued), DataDocsLink())
    publish(stage(requeued, validation)) >> collect_lineage()


requeue_drop()
