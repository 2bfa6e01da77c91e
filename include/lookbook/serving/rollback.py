"""Back to a model that served before: which one, and what the registry says afterwards."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook.training.registry import Served

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """The model to restore, the one it replaces, and who wants it so."""

    package_arn: str
    version: str
    replaced_arn: str
    replaced_version: str
    by: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Choice(**reference)`` restores it."""
        return asdict(self)


@dataclass(frozen=True)
class RolledBack:
    """What a rollback came to."""

    version: str
    replaced_version: str
    endpoint_config: str
    by: str
    reason: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class FailedDeployment:
    """A package whose deployment failed, and why; ``rejected`` is false where nothing says that it was its fault."""

    version: str
    rejected: bool
    reason: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def reject_failed(package_arn: str, failure: str | None) -> FailedDeployment:
    """Reject a package whose deployment failed, so that nobody takes it for one that waits for approval.

    Args:
        package_arn: the package.
        failure: what the update or the verification said; ``None`` if it came to neither: the package then keeps its
            state, since its model never reached the endpoint.
    """
    version = registry.version_of(package_arn)
    if failure is None:
        log.warning("Model %s never reached the endpoint: its package keeps its state.", version)
        return FailedDeployment(version, False, "it never reached the endpoint; see the run's log")
    registry.reject(package_arn, f"Its deployment failed: {failure}")
    return FailedDeployment(version, True, failure)


def choose(version: str | None, by: str | None) -> Choice:
    """Choose the model to restore.

    Args:
        version: a model that served before (``v2``), rejected since or not; ``None``: the champion before this one.
        by: who rolls back, as Airflow knows them.

    Raises:
        PermanentError: nobody is named, no model serves or has served, there is none to go back to, or the version
            never served.
    """
    if not by:
        raise PermanentError("Nobody started this rollback. A person triggers it, in the UI or by the API.")
    served = registry.served()
    replaced = _replaced(served)
    others = [one for one in served if one.package_arn != replaced[0] and not one.expired]
    chosen = _named(version, others) if version else _latest(others, replaced[1])
    for package_arn in (chosen.package_arn, replaced[0]):
        records.reads("model_package", get_settings().model_package_group, package_arn)
    log.info("Model %s is to replace %s.", chosen.version, replaced[1])
    return Choice(chosen.package_arn, chosen.version, *replaced, by)


def settle(choice: Choice, endpoint_config: str, reason: str) -> RolledBack:
    """Tell the registry of a rollback that was verified: the restored model is the champion, the other is rejected.

    Args:
        choice: of :func:`choose`.
        endpoint_config: the config that was verified.
        reason: why, in the person's words.
    """
    because = f"by {choice.by}: {reason}"
    registry.approve(choice.package_arn, endpoint_config, f"Restored after {choice.replaced_version}, {because}")
    registry.reject(choice.replaced_arn, f"Rolled back to {choice.version} {because}")
    records.details(restored=choice.version, rolled_back_by=choice.by)
    return RolledBack(choice.version, choice.replaced_version, endpoint_config, choice.by, reason)


def _replaced(served: list[Served]) -> tuple[str, str]:
    """Return ARN and version of the model in service; where no endpoint is, of the one that last was."""
    if serving := registry.in_service():
        return serving.package_arn, serving.version
    if champions := [one for one in served if one.approved]:
        return champions[0].package_arn, champions[0].version
    raise PermanentError("No model is in service, and none was: there is nothing to roll back. Run the retraining.")


def _named(version: str, others: list[Served]) -> Served:
    wanted = f"v{version.removeprefix('v')}"
    for one in others:
        if one.version == wanted:
            return one
    raise PermanentError(
        f"Model {wanted} can't be restored: it never served, serves now, or housekeeping deleted its artefact. "
        f"{_choices(others)}"
    )


def _latest(others: list[Served], replaced: str) -> Served:
    approved = [one for one in others if one.approved]
    if not approved:
        raise PermanentError(f"There is no approved model to go back to from {replaced}. {_choices(others)}")
    return approved[0]


def _choices(others: list[Served]) -> str:
    known = ", ".join(f"{one.version}{'' if one.approved else ' (rejected)'}" for one in others)
    return f"Models that served before: {known or 'none'}."
