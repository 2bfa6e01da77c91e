"""An endpoint that lives only while somebody asks it (``LOOKBOOK_ENDPOINT_LIFE=run``).

Each run that asks the endpoint, or deploys to it, is written down in ``serving/<endpoint>/users.json`` before it begins
and taken out when it has ended, well or not. Whoever is the last one out deletes the endpoint; what served there stays
known from the registry. With ``always`` nobody is written down and nothing is created or deleted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from lookbook import storage
from lookbook.aws import client
from lookbook.errors import PermanentError, RetryableError
from lookbook.housekeeping import sightings
from lookbook.lineage import records
from lookbook.settings import get_settings
from lookbook.training import registry

log = logging.getLogger(__name__)

IsOver = Callable[[str, str], bool]
"""Tells of a DAG id and a run id whether that run is over, or gone."""

# Who began to delete the endpoint and has not ended by now has died over it.
_LONGEST_CLOSING = timedelta(minutes=15)
_TAGS = [{"Key": "project", "Value": "lookbook"}]


@dataclass(frozen=True)
class User:
    """A run that needs the endpoint."""

    dag_id: str
    run_id: str

    @property
    def key(self) -> str:
        """Its name among the users."""
        return f"{self.dag_id} {self.run_id}"


@dataclass(frozen=True)
class Opened:
    """What was done so that the endpoint is there; ``endpoint_config`` is ``None`` where there is no champion."""

    created: bool
    endpoint_config: str | None
    why: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Closed:
    """Whether the endpoint was deleted, and why or why not."""

    deleted: bool
    why: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def hold(user: User) -> None:
    """Write a run down among those that need the endpoint, once nobody is deleting it.

    Raises:
        RetryableError: somebody deletes it, and has not ended.
    """
    if get_settings().endpoint_life == "always":
        return
    deadline = datetime.now(UTC) + _LONGEST_CLOSING
    while _closing(storage.update_json(_uri(), lambda state: _joined(state, user))):
        if datetime.now(UTC) > deadline:
            raise RetryableError(f"Endpoint {get_settings().endpoint_name} is being deleted: it takes too long.")
        _pause()
    log.info("Endpoint %s is held for run %s of %s.", get_settings().endpoint_name, user.run_id, user.dag_id)


def open_for(user: User) -> Opened:
    """Hold the endpoint for a run, and see to it that it is there with the champion's config.

    Raises:
        RetryableError: it came to nothing this time; the reason is SageMaker's.
    """
    if get_settings().endpoint_life == "always":
        return Opened(False, None, "the endpoint is always there (LOOKBOOK_ENDPOINT_LIFE)")
    hold(user)
    champion = registry.champion()
    if champion is None:
        return Opened(False, None, "there is no champion to create an endpoint with")
    created = _created(champion.endpoint_config)
    records.reads("model_package", get_settings().model_package_group, champion.package_arn)
    report = records.writes if created else records.reads
    report("endpoint_config", get_settings().endpoint_name, champion.endpoint_config)
    return Opened(created, champion.endpoint_config, "created for this run" if created else "it was there")


def close_for(user: User, is_over: IsOver) -> Closed:
    """Take a run out, and delete the endpoint if no other run needs it.

    Done twice, or taken up after it was stopped halfway, it leaves what once leaves.

    Args:
        user: the run that needs it no longer.
        is_over: tells of the other runs whether they have ended: one that was killed can't take itself out.
    """
    if get_settings().endpoint_life == "always":
        return Closed(False, "the endpoint is always there (LOOKBOOK_ENDPOINT_LIFE)")
    state = storage.update_json(_uri(), lambda before: _left(before, user, is_over))
    if state["users"]:
        return Closed(False, f"needed by {', '.join(sorted(state['users']))}")
    _delete()
    storage.update_json(_uri(), lambda before: {**before, "closing_since": None})
    records.details(deleted=get_settings().endpoint_name)
    return Closed(True, "no run needs it")


def is_needless(is_over: IsOver) -> bool:
    """Return whether the endpoint is there although it lives only for runs and none of those that need it goes on."""
    if get_settings().endpoint_life == "always" or registry.describe_endpoint(get_settings().endpoint_name) is None:
        return False
    found = storage.read_version(_uri())
    return not found or not _left(storage.read_json(_uri()), None, is_over)["users"]


def _joined(state: dict[str, Any] | None, user: User) -> dict[str, Any]:
    """Return the state with a user more, unless the endpoint is being deleted: who comes then has to wait."""
    state = state or {"users": {}, "closing_since": None}
    if _closing(state):
        return state
    return {"users": {**state["users"], user.key: asdict(user)}, "closing_since": None}


def _left(state: dict[str, Any] | None, user: User | None, is_over: IsOver) -> dict[str, Any]:
    """Return the state without a user and without those that are over; without any, the endpoint is being deleted."""
    users = {
        key: one
        for key, one in (state or {"users": {}})["users"].items()
        if (user is None or key != user.key) and not is_over(one["dag_id"], one["run_id"])
    }
    return {"users": users, "closing_since": None if users else datetime.now(UTC).isoformat()}


def _closing(state: dict[str, Any]) -> bool:
    since = state["closing_since"]
    return since is not None and datetime.now(UTC) - datetime.fromisoformat(since) < _LONGEST_CLOSING


def _created(config: str) -> bool:
    """Wait until the endpoint is in service; create it with the config where it is not there."""
    name, created = get_settings().endpoint_name, False
    while (endpoint := registry.describe_endpoint(name)) is None or endpoint["EndpointStatus"] != "InService":
        status = endpoint["EndpointStatus"] if endpoint else None
        if endpoint and status == "Failed":
            _delete()
            raise RetryableError(f"Endpoint {name} could not be created: {endpoint.get('FailureReason', 'no reason')}.")
        if status is None:
            created = _create(name, config) or created
        _pause()
    log.info("Endpoint %s is in service with %s.", name, endpoint["EndpointConfigName"])
    return created


def _create(name: str, config: str) -> bool:
    """Create the endpoint; return whether it was not somebody else who did."""
    try:
        client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=_TAGS)
    except ClientError as error:
        message = error.response["Error"]["Message"]
        if "already existing endpoint" in message:
            return False
        if "Could not find endpoint configuration" in message:
            raise PermanentError(
                f"The champion's endpoint config {config} is gone. Run rollback_attribute_model."
            ) from error
        raise
    return True


def _delete() -> None:
    """Note how long the endpoint ran, delete it, and wait until it is gone."""
    name = get_settings().endpoint_name
    sightings.look()
    while (endpoint := registry.describe_endpoint(name)) is not None:
        if endpoint["EndpointStatus"] != "Deleting":
            _ask_to_delete(name)
        _pause()
    log.info("Endpoint %s is deleted.", name)


def _ask_to_delete(name: str) -> None:
    try:
        client("sagemaker").delete_endpoint(EndpointName=name)
    except ClientError as error:
        # SageMaker deletes no endpoint that is being created or updated: it is asked again.
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        log.info("%s", error.response["Error"]["Message"])


def _pause() -> None:
    time.sleep(get_settings().poll_interval_s)


def _uri() -> str:
    return f"s3://{get_settings().bucket}/serving/{get_settings().endpoint_name}/users.json"
