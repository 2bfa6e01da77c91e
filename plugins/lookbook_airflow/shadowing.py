"""The tasks that put a challenger beside the champion, compare them, and take the challenger off again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import PokeReturnValue, TaskGroup, task
from airflow.sdk.exceptions import AirflowSkipException

from lookbook_airflow.clearing import plain_task
from lookbook_airflow.defaults import Pool
from lookbook_airflow.endpoint_life import with_endpoint
from lookbook_airflow.lineage import traced_task
from lookbook_airflow.links import ShadowLink, linked
from lookbook_airflow.operators.sagemaker import EndpointConfigOperator, ModelOperator
from lookbook_airflow.operators.shadow import ShadowOffOperator, ShadowOnOperator

MEANWHILE = "While the run goes on. Afterwards trigger a new run: this one's challenger is off the endpoint."
_UPDATE = {"execution_timeout": timedelta(hours=2)}
# Seconds; the longest that a challenger may be asked to stay is a week.
_LOOKS = {"poke_interval": 15, "exponential_backoff": True, "max_wait": timedelta(minutes=5), "timeout": 8 * 86400}


def shadowed(chosen: Any) -> tuple[Any, Any]:
    """Add the tasks; return the results of the comparison and of verifying that the champion serves alone again.

    Args:
        chosen: the reference of a :class:`lookbook.serving.shadow.Shadow`, another task's result.
    """
    with TaskGroup("shadow", prefix_group_id=False, tooltip="Put a challenger beside the champion, and compare them"):
        # What is set up is what is taken down: from here on the endpoint may have a challenger, however that ends.
        serving = shadow_requests(chosen).as_setup()
        model = ModelOperator(task_id="create_model", config=serving["model"])
        config = EndpointConfigOperator(task_id="create_endpoint_config", config=serving["endpoint_config"])
        on = ShadowOnOperator(
            task_id="shadow_on", config=serving["endpoint"], serving=chosen["serving_config"], **_UPDATE
        )
        verified = verify(on.output, chosen)
        sent = ask(chosen)
        compared = linked(compare(chosen, on.output, sent, watch(chosen, on.output, sent)), ShadowLink())
        off = ShadowOffOperator(
            task_id="shadow_off",
            config=serving["way_back"],
            shadow=serving["endpoint"],
            **_UPDATE,
        )
        alone = verify.override(task_id="verify_alone")(off.output, chosen)
        model >> config >> on
        verified >> sent
        compared >> off.as_teardown(setups=serving)
        with_endpoint(None, on, last=alone, after=chosen)
        return compared, alone


@traced_task(multiple_outputs=True, clear=MEANWHILE)
def shadow_requests(chosen: dict[str, Any]) -> dict[str, Any]:
    """Write the requests of the challenger's model, of the config with both models, and of the way back."""
    from lookbook.serving import shadow

    return shadow.requests(shadow.Shadow(**chosen))


@traced_task(clear=MEANWHILE)
def verify(endpoint: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    """Ask the champion's golden questions: it answers, and nobody else does."""
    from lookbook.serving import verification

    if endpoint["endpoint_config_name"] is None:
        raise AirflowSkipException("Another deployment took the endpoint over, and verifies what it does.")
    return verification.verify(endpoint["endpoint_config_name"], chosen["champion_arn"]).reference()


@traced_task(clear=MEANWHILE, pool=Pool.PREDICT)
async def ask(chosen: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Ask the challenger's golden questions, and about pictures of the newest drop."""
    from lookbook.serving import shadow, shadow_replay

    return (await shadow_replay.replay(shadow.Shadow(**chosen), params["pictures"])).reference()


@plain_task(declare=task.sensor, clear=MEANWHILE, mode="reschedule", **_LOOKS)
def watch(chosen: dict[str, Any], on: dict[str, Any], sent: dict[str, Any], params: dict[str, Any]) -> PokeReturnValue:
    """Wait until both answered enough, or the time is over; between two looks no worker is held."""
    from lookbook.serving import shadow, shadow_watch

    watched = shadow_watch.look(
        shadow.Shadow(**chosen),
        on["endpoint_config_name"],
        sent["uri"],
        hours=params["hours"],
        enough=params["enough"],
        now=datetime.now(UTC),
    )
    return PokeReturnValue(watched is not None, watched and watched.reference())


@traced_task(clear=MEANWHILE)
def compare(
    chosen: dict[str, Any], on: dict[str, Any], sent: dict[str, Any], watched: dict[str, Any]
) -> dict[str, Any]:
    """Compare what both answered, request by request, and write the report."""
    from lookbook.serving import shadow, shadow_report, shadow_watch

    asked = (shadow.Shadow(**chosen), on["endpoint_config_name"], sent["uri"])
    return shadow_report.compare(*asked, shadow_watch.Watched(**watched))
