"""
### Ingest drop

Takes one **drop** (`s3://<bucket>/drops/<Monday>/`) into the product catalogue: reads every row, checks it with
Great Expectations, quarantines what can't be used (with the reason), and publishes the rest in one commit.

| | |
|---|---|
| **Starts** | Mondays at 00:00 UTC; by event (`watch_drops`); by hand with a partition key or *Drop* |
| **History** | `airflow backfill create --dag-id ingest_drop …` (`docs/runbooks/backfill.md`) |
| **Skips** | a drop that the catalogue holds unchanged, unless *Force* is set; in a backfill, a Monday without a drop |
| **Waits** | while another run works on the same drop |
| **Emits** | `product_catalog`, partitioned by drop; counts of rows and of products added, removed, changed |
| **Safe to clear?** | Yes, any task: a drop's rows are replaced, never added twice |
| **When it fails** | `docs/runbooks/ingest_drop.md` |
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronPartitionTimetable, Param, dag

from lookbook_airflow.assets import PRODUCT_CATALOG
from lookbook_airflow.defaults import DEFAULT_ARGS, Pool, Tag, about, alerts, max_rejected_share, optional_drop
from lookbook_airflow.lineage import collect_lineage, required_drop, traced_short_circuit, traced_task
from lookbook_airflow.links import DataDocsLink, linked
from lookbook_airflow.runs import keep_drop, skipping_other_mondays, take_drop


@dag(
    dag_display_name="Ingest drop",
    schedule=CronPartitionTimetable("0 0 * * 1", timezone="UTC", key_format="%Y-%m-%d"),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULT_ARGS,
    **alerts(deadline="ingest"),
    tags=[Tag.CATALOG, Tag.TIER_1],
    **about(__doc__),
    params={
        "drop": optional_drop(),
        "force": Param(False, type="boolean", title="Force", description="Ingest the drop even if it is unchanged"),
        "max_rejected_share": max_rejected_share(),
    },
)
def ingest_drop():
    # Its retries span 25 minutes: time for an upload to be completed, or for another run of the drop to end.
    @traced_task(retries=6)
    def discover(**context: Any) -> dict:
        """Find the drop, check that it is one and complete, and take it: no other run works on it meanwhile."""
        from lookbook.drops import discovery

        with skipping_other_mondays(context):
            drop = discovery.discover(required_drop(context))
        take_drop(context)
        return drop.reference()

    @traced_task
    def fingerprint(drop: dict) -> dict:
        """List every file with size and checksum: the manifest that names this state of the drop."""
        from lookbook.drops import discovery

        return discovery.fingerprint(discovery.Drop(**drop)).reference()

    @traced_short_circuit()
    def changed(manifest: dict, params: dict, ti: Any = None) -> bool:
        """Go on only if the catalogue does not hold the very same files yet; say which run brought them."""
        from lookbook.catalog import ingests

        decision = ingests.decide(manifest["drop_id"], manifest["fingerprint"], force=params["force"])
        ti.xcom_push("decision", decision.reference())
        return decision.passed

    @traced_task(pool=Pool.READ, execution_timeout=timedelta(hours=2))
    def read(manifest: dict, **context: Any) -> dict:
        """Read every row, its JSON and its picture into one candidate each, good or bad."""
        from lookbook.drops import reading

        keep_drop(context)
        return reading.read(manifest["uri"]).reference()

    @traced_task(pool=Pool.READ, execution_timeout=timedelta(hours=1))
    def validate(candidates: dict, params: dict, ti: Any = None) -> dict:
        """Run the Great Expectations checkpoint; refuse the drop if too much of it is bad."""
        from lookbook.quality import validating

        most = params["max_rejected_share"]
        return validating.validate(candidates["uri"], max_rejected_share=most, task_url=ti.log_url).reference()

    @traced_task
    def stage(candidates: dict, validation: dict, **context: Any) -> dict:
        """Write products and quarantine to the drop's audit branches, out of every reader's sight."""
        from lookbook.catalog import publishing

        keep_drop(context)
        return publishing.stage(candidates["uri"], validation["uri"]).reference()

    @traced_task(pool=Pool.PUBLISH, outlets=[PRODUCT_CATALOG])
    def publish(staged: dict, **context: Any) -> dict:
        """Audit the branches (read = published + quarantined), move `main` to them, record the difference."""
        from lookbook.catalog import ingests, publishing

        keep_drop(context)
        published = publishing.publish(publishing.Staged(**staged))
        if not context["dag_run"].partition_key:
            context["outlet_events"][PRODUCT_CATALOG].add_partitions(published.drop_id)
        difference = ingests.record_difference(published, staged["validation_uri"])
        return published.reference() | {"difference": difference.reference()}

    manifest = fingerprint(discover())
    candidates = read(manifest)
    changed(manifest) >> candidates
    validation = linked(validate(candidates), DataDocsLink())
    publish(stage(candidates, validation)) >> collect_lineage()


ingest_drop()
