"""
### Ingest drop

Takes one **drop** (`s3://<bucket>/drops/<Monday>/`) into the product catalogue: reads every row, checks it with
Great Expectations, quarantines what can't be used (with the reason), and publishes the rest in one commit.

| | |
|---|---|
| **Starts** | Mondays at 00:00 UTC; by hand with a partition key or *Drop* |
| **History** | `airflow backfill create --dag-id ingest_drop --from-date … --to-date …` |
| **Emits** | `product_catalog`, partitioned by drop |
| **Safe to clear?** | Yes, any task: a drop's rows are replaced, never added twice |
| **When it fails** | `docs/runbooks/ingest_drop.md` |
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronPartitionTimetable, Param, dag

from lookbook_airflow.assets import PRODUCT_CATALOG
from lookbook_airflow.defaults import DEFAULT_ARGS, Pool, Tag
from lookbook_airflow.lineage import collect_lineage, required_drop, traced_task


@dag(
    dag_display_name="Ingest drop",
    schedule=CronPartitionTimetable("0 0 * * 1", timezone="UTC", key_format="%Y-%m-%d"),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULT_ARGS,
    tags=[Tag.CATALOG, Tag.TIER_1],
    doc_md=__doc__,
    params={
        "drop": Param(
            None,
            type=["null", "string"],
            pattern=r"^\d{4}-\d{2}-\d{2}$",
            title="Drop",
            description="The drop's Monday, for a run without a partition key",
        ),
    },
)
def ingest_drop():
    @traced_task
    def discover(**context: Any) -> dict:
        """Find the drop and check that it is one: its files, its columns, at least one row."""
        from lookbook.drops import discovery

        return discovery.discover(required_drop(context)).reference()

    @traced_task
    def fingerprint(drop: dict) -> dict:
        """List every file with size and checksum: the manifest that names this state of the drop."""
        from lookbook.drops import discovery

        return discovery.fingerprint(discovery.Drop(**drop)).reference()

    @traced_task(execution_timeout=timedelta(hours=2))
    def read(manifest: dict) -> dict:
        """Read every row, its JSON and its picture into one candidate each, good or bad."""
        from lookbook.drops import reading

        return reading.read(manifest["uri"]).reference()

    @traced_task(execution_timeout=timedelta(hours=1))
    def validate(candidates: dict) -> dict:
        """Run the Great Expectations checkpoint; refuse the drop if too much of it is bad."""
        from lookbook.quality import validating

        return validating.validate(candidates["uri"]).reference()

    @traced_task
    def stage(candidates: dict, validation: dict) -> dict:
        """Write products and quarantine to the drop's audit branches, out of every reader's sight."""
        from lookbook.catalog import publishing

        return publishing.stage(candidates["uri"], validation["uri"]).reference()

    @traced_task(pool=Pool.PUBLISH, outlets=[PRODUCT_CATALOG])
    def publish(staged: dict, outlet_events: Any = None, dag_run: Any = None) -> dict:
        """Audit the branches (read = published + quarantined), then move `main` to them."""
        from lookbook.catalog import publishing

        if not dag_run.partition_key:
            outlet_events[PRODUCT_CATALOG].add_partitions(staged["drop_id"])
        return publishing.publish(publishing.Staged(**staged)).reference()

    candidates = read(fingerprint(discover()))
    publish(stage(candidates, validate(candidates))) >> collect_lineage()


ingest_drop()
