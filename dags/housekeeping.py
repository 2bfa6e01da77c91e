"""
### Housekeeping

Lets go what nothing refers to any more: endpoint configs, models, artefacts, checkpoints and data sets; old versions
and files of the tables, and branches of ingests that died; jobs that run on although their run is over. Gathers rows
that lie in many small files, and tells what everything cost.

| | |
|---|---|
| **Starts** | daily at 05:00 UTC; by hand, with *Dry run* to see only what would go |
| **Keeps** | what an endpoint has, the last `LOOKBOOK_KEEP_CHAMPIONS` champions, pending packages, what a running job uses, what a description's lineage leads to, all evaluation reports, and whatever is younger than `LOOKBOOK_EXPIRE_AFTER_DAYS` |
| **Shows** | each plan before anything is deleted (button *Plan*), and what everything cost (button *Costs*) |
| **Refuses** | to delete more than `LOOKBOOK_MAX_EXPIRED_SHARE` of any one kind |
| **Safe to clear?** | Yes, any task: what is gone is gone once, what is referred to again stays |
| **When it fails** | `docs/runbooks/housekeeping.md` |
"""  # noqa: E501 - a row of a table is one line

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag

from lookbook_airflow.defaults import DEFAULT_ARGS, Pool, Tag, about, alerts
from lookbook_airflow.lineage import collect_lineage, traced_task
from lookbook_airflow.links import HousekeepingLink, linked
from lookbook_airflow.runs import has_ended

LONG = {"execution_timeout": timedelta(hours=2)}


@dag(
    dag_display_name="Housekeeping",
    schedule=CronTriggerTimetable("0 5 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    **alerts(),
    tags=[Tag.OPERATIONS, Tag.TIER_2],
    **about(__doc__),
    params={
        "dry_run": Param(
            False, type="boolean", title="Dry run", description="Plan everything, delete and stop nothing"
        ),
        "max_share": Param(
            None,
            type=["null", "number"],
            exclusiveMinimum=0,
            maximum=1,
            title="Max share",
            description="Share of a kind that may go in this run; empty: LOOKBOOK_MAX_EXPIRED_SHARE",
        ),
    },
)
def housekeeping():
    @traced_task(**LONG)
    def plan(part: str, run_id: str) -> dict:
        """Find what may go, keep the list with reasons, ages and sizes in S3, and delete nothing."""
        from lookbook.housekeeping import expiring

        return expiring.plan_run(part, run_id, has_ended)

    @traced_task(clear="Yes: what is gone is gone once, what is referred to again stays.", **LONG)
    def expire(planned: dict, params: dict) -> dict:
        """Let go what the plan names and still nothing refers to; with *Dry run*, only count it."""
        from lookbook.housekeeping import expiring

        asked = {"dry_run": params["dry_run"], "max_share": params["max_share"]}
        return expiring.carry_out(planned["uri"], has_ended, **asked).reference()

    @traced_task
    def report_costs(run_id: str) -> dict:
        """Tell hours, tokens and list prices by day and by drop: training, endpoint, transform jobs, descriptions."""
        from lookbook.housekeeping import costs

        return costs.report(run_id).reference()

    def kept(part: str, pool: str):
        planned = linked(plan.override(task_id=f"plan_{part}")(part), HousekeepingLink(part, "Plan"))
        return expire.override(task_id=f"expire_{part}", pool=pool)(planned)

    reported = linked(report_costs(), HousekeepingLink("costs", "Costs"))
    tidied = [kept("models", "default_pool"), kept("tables", Pool.PUBLISH), kept("jobs", "default_pool")]
    [*tidied, reported] >> collect_lineage()


housekeeping()
