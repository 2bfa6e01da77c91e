"""
### Watch drops

Starts `ingest_drop` as soon as a **drop** is complete: S3 tells an SQS queue of each `_SUCCESS` and `manifest.json`
under `s3://<bucket>/drops/<Monday>/`, and a watcher in the triggerer listens to that queue.

| | |
|---|---|
| **Starts** | when messages came; never, unless `LOOKBOOK_DROP_EVENTS_QUEUE_URL` is set and the DAG is unpaused |
| **Nothing lost** | a message is deleted when the run it asks for is there; until then it comes again every 5 minutes |
| **Nothing twice** | one event of S3 makes one run, however often it is delivered |
| **Safe to clear?** | Yes, any task: a run that is there is not started again |
| **When it fails** | `docs/runbooks/watch_drops.md` |
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import TriggerRule, dag

from lookbook_airflow.clearing import SAME_AGAIN, documented, plain_task
from lookbook_airflow.defaults import DEFAULT_ARGS, Tag, about, alerts
from lookbook_airflow.drop_events import COMPLETE_DROPS, received_messages


@dag(
    dag_display_name="Watch drops",
    schedule=[COMPLETE_DROPS],
    catchup=False,
    # A run that is being retried must not hold up the drops after it.
    max_active_runs=4,
    default_args=DEFAULT_ARGS,
    **alerts(),
    tags=[Tag.CATALOG, Tag.TIER_1],
    **about(__doc__),
)
def watch_drops():
    @plain_task(multiple_outputs=False)
    def read_messages(**context: Any) -> list[dict]:
        """Name each drop that the messages say is complete, once, with the run that ingests it."""
        from lookbook.drops import events

        uploads = events.latest_uploads(received_messages(context))
        return [{"trigger_run_id": upload.run_id, "conf": {"drop": upload.drop_id}} for upload in uploads]

    # It takes no partition key (docs/decisions/0012-drops-by-event.md), so the drop goes in as the parameter.
    start_ingest = TriggerDagRunOperator.partial(
        task_id="start_ingest",
        trigger_dag_id="ingest_drop",
        logical_date=None,
        skip_when_already_exists=True,
        map_index_template="{{ task.conf['drop'] }}",
        doc_md=documented(
            "Start `ingest_drop` for the drop; skipped if the same event has started it before.", SAME_AGAIN
        ),
    ).expand_kwargs(read_messages())

    @plain_task(clear=SAME_AGAIN, trigger_rule=TriggerRule.NONE_FAILED)
    def acknowledge(**context: Any) -> int:
        """Delete the messages; fail over any that could not be understood, which stay in the queue."""
        from lookbook.drops import events

        return events.acknowledge(received_messages(context))

    start_ingest >> acknowledge()


watch_drops()
