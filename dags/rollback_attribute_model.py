"""
### Roll back attribute model

Puts a model back in service that served before: the champion before this one, or a named version. It is verified as
any deployment is; then the registry calls it the champion, and the one it replaces is **rejected** with your name and
reason. The next `describe_products` asks it.

| | |
|---|---|
| **Starts** | by hand, with *Reason*; *Version* if it is not the champion before this one |
| **Emits** | `attribute_model` |
| **If it can't be verified** | what served before serves again, and the run fails |
| **Safe to clear?** | Yes, any task but `choose` once `settle` is done: it would choose anew, from what serves then |
| **When it fails** | `docs/runbooks/rollback_attribute_model.md` |
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag

from lookbook_airflow.assets import ATTRIBUTE_MODEL
from lookbook_airflow.clearing import SAME_AGAIN
from lookbook_airflow.defaults import DEFAULT_ARGS, Pool, Tag, about, alerts
from lookbook_airflow.deployment import deployed
from lookbook_airflow.lineage import collect_lineage, traced_task


@dag(
    dag_display_name="Roll back attribute model",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    **alerts(),
    tags=[Tag.MODEL, Tag.TIER_1],
    **about(__doc__),
    params={
        "reason": Param(
            type="string",
            minLength=10,
            maxLength=500,
            title="Reason",
            description="What is wrong with the model in service; kept with your name",
        ),
        "version": Param(
            None,
            type=["null", "string"],
            pattern=r"^v?[1-9][0-9]{0,8}$",
            title="Version",
            description="The model to go back to, e.g. v2; empty: the champion before this one",
        ),
        "mark_stale": Param(
            False,
            type="boolean",
            title="Mark stale",
            description="Mark published descriptions stale that the replaced model helped to write",
        ),
    },
)
def rollback_attribute_model():
    @traced_task(clear="Not once `settle` is done: it would choose from what serves then.", multiple_outputs=True)
    def choose(params: dict, dag_run: Any = None) -> dict:
        """Choose the model to restore: the version asked for, or the champion before the one in service."""
        from lookbook.serving import rollback

        return rollback.choose(params["version"], dag_run.triggering_user_name).reference()

    @traced_task(clear=SAME_AGAIN, outlets=[ATTRIBUTE_MODEL])
    def settle(choice: dict, verified: dict, params: dict) -> dict:
        """Tell the registry: the restored model is the champion, the replaced one is rejected, by whom and why."""
        from lookbook.serving import rollback

        chosen = rollback.Choice(**choice)
        return rollback.settle(chosen, verified["endpoint_config"], params["reason"]).reference()

    @traced_task(clear=SAME_AGAIN, pool=Pool.PUBLISH)
    def mark_stale(settled: dict, params: dict) -> dict | None:
        """Mark the replaced model's published descriptions stale, if asked for; their drops are to be run again."""
        from lookbook.descriptions import staleness

        if not params["mark_stale"]:
            return None
        why = f"model {settled['replaced_version']} was rolled back by {settled['by']}: {settled['reason']}"
        return staleness.mark_stale(settled["replaced_version"], why).reference()

    choice = choose()
    verified = deployed(choice["package_arn"], after=choice, at_once=True)
    mark_stale(settle(choice, verified)) >> collect_lineage()


rollback_attribute_model()
