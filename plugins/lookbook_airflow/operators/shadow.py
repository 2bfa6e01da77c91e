"""A challenger put beside the champion, and taken off again, without standing in any other deployment's way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lookbook.errors import PermanentError
from lookbook.settings import get_settings
from lookbook_airflow.operators.sagemaker import MOVING, EndpointOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class ShadowOnOperator(EndpointOperator):
    """Put a challenger beside what the endpoint serves, if it still serves what the challenger was chosen to stand by.

    :param serving: the endpoint config that the endpoint must have. A model that is being deployed or rolled back
        meanwhile must not be replaced by the former champion: the task then fails, and the endpoint stays as it is.
    """

    template_fields: Sequence[str] = (*EndpointOperator.template_fields, "serving")

    def __init__(self, *, serving: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.serving = serving

    def execute(self, context: Context) -> dict[str, Any]:
        """Update the endpoint, or wait for the update that an earlier try began."""
        endpoint = self._describe()
        config = endpoint and endpoint["EndpointConfigName"]
        if config not in (self.serving, self.config["EndpointConfigName"]):
            raise PermanentError(
                f"Endpoint {self.config['EndpointName']} serves config {config}, expected {self.serving}: another "
                "deployment began. Trigger a new run when it is over."
            )
        return super().execute(context)


class ShadowOffOperator(EndpointOperator):
    """Take the challenger off again; where another deployment took the endpoint over, leave it alone.

    :param config: the UpdateEndpoint request with the champion's config.
    :param shadow: the UpdateEndpoint request that put it there.
    """

    template_fields: Sequence[str] = (*EndpointOperator.template_fields, "shadow")

    def __init__(self, *, shadow: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.shadow = shadow

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait for an update that is under way, then go back, unless there is nothing to go back from."""
        self.check_interval = get_settings().poll_interval_s
        endpoint = self._describe()
        if endpoint and endpoint["EndpointStatus"] in MOVING:
            self._wait()
        config = endpoint and endpoint["EndpointConfigName"]
        if config in (self.shadow["EndpointConfigName"], self.config["EndpointConfigName"]):
            return super().execute(context)
        self.log.info("The endpoint has config %s: there is no challenger to take off.", config)
        return {"endpoint_name": self.config["EndpointName"], "endpoint_config_name": None}
