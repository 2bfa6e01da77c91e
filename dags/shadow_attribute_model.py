"""
### Shadow attribute model

Puts a registered model, the **challenger**, beside the one in service and compares what both answer to the same
requests: by attribute, with latency and errors. Nothing of the challenger's answers reaches anybody, and nothing is
promoted: the comparison is for the person who decides.

| | |
|---|---|
| **Starts** | by hand; *Version* if it is not the newest model that waits for a decision |
| **Compares** | on pictures of the newest drop, sent at once, and in *Hours* on whatever is asked meanwhile |
| **Afterwards** | the champion serves alone again, verified, even when watching failed |
| **Gives way** | to any deployment or rollback that begins meanwhile |
| **Safe to clear?** | Yes, while the run goes on; afterwards trigger a new run |
| **When it fails** | `docs/runbooks/shadow_attribute_model.md` |
"""

from __future__ import annotations

from airflow.sdk import Param, dag

from lookbook_airflow.defaults import DEFAULT_ARGS, Tag, about, alerts
from lookbook_airflow.lineage import collect_lineage, traced_task
from lookbook_airflow.shadowing import MEANWHILE, shadowed


@dag(
    dag_display_name="Shadow attribute model",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    **alerts(),
    tags=[Tag.MODEL, Tag.TIER_2],
    **about(__doc__),
    params={
        "version": Param(
            None,
            type=["null", "string"],
            pattern=r"^v?[1-9][0-9]{0,8}$",
            title="Version",
            description="The challenger, e.g. v3; empty: the newest model that nobody decided about",
        ),
        "share": Param(
            1,
            type="number",
            exclusiveMinimum=0,
            maximum=1,
            title="Share",
            description="Of the endpoint's requests, how many the challenger gets a copy of",
        ),
        "pictures": Param(
            200,
            type="integer",
            minimum=0,
            maximum=5000,
            title="Pictures",
            description="Pictures of the newest drop that the endpoint is asked about for the comparison",
        ),
        "hours": Param(
            0,
            type="number",
            minimum=0,
            maximum=168,
            title="Hours",
            description="How long the challenger then stays for requests that come by themselves",
        ),
        "enough": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Enough",
            description="End before that when the challenger has answered so many requests",
        ),
    },
)
def shadow_attribute_model():
    @traced_task(clear=MEANWHILE, multiple_outputs=True)
    def choose(params: dict, run_id: str) -> dict:
        """Choose the challenger and the champion that it is to stand beside."""
        from lookbook.serving import shadow

        return shadow.choose(params["version"], params["share"], run_id).reference()

    @traced_task
    def note(chosen: dict, compared: dict) -> dict:
        """Say in the challenger's package how it compared."""
        from lookbook.serving import shadow, shadow_report

        return shadow_report.note(shadow.Shadow(**chosen), compared)

    chosen = choose()
    compared, alone = shadowed(chosen)
    [note(chosen, compared), alone] >> collect_lineage()


shadow_attribute_model()
