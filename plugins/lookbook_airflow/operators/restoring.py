"""The way back of a deployment that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from lookbook.lineage import records
from lookbook.settings import get_settings
from lookbook_airflow.lineage import traced
from lookbook_airflow.operators.sagemaker import MOVING, EndpointOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class RestoreEndpointOperator(EndpointOperator):
    """Give an endpoint the config back that it had before; where it had none, take it down.

    :param config: an UpdateEndpoint request, in which ``EndpointConfigName`` may be ``None``: nothing that was
        verified served before, and no endpoint is better than one with a model that failed.
    :param unless: what verification found; where there is anything, the task is skipped.
    """

    template_fields: Sequence[str] = (*EndpointOperator.template_fields, "unless")

    def __init__(self, *, unless: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.unless = unless

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait for an update that is under way, then go back, unless the endpoint is there already."""
        if self.unless is not None:
            raise AirflowSkipException("The deployment was verified: nothing is put back.")
        if self.config["EndpointConfigName"] is not None:
            return super().execute(context)
        self.check_interval = get_settings().poll_interval_s
        name, endpoint = self.config["EndpointName"], self._describe()
        if endpoint and endpoint["EndpointStatus"] in MOVING:
            self._wait()
        if endpoint and endpoint["EndpointStatus"] != "Deleting":
            with traced(context):
                self.hook.get_conn().delete_endpoint(EndpointName=name)
                records.details(taken_down=endpoint["EndpointArn"])
            self.log.warning("Endpoint %s is taken down: nothing that was verified served there before.", name)
        return {"endpoint_name": name, "endpoint_config_name": None}
