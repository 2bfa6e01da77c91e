"""A model's history in SageMaker's own ML lineage, where SageMaker Studio and QueryLineage look for it.

drop → data set → training job → model artefact → model package → deployment → endpoint, with base model, image,
evaluation, gate and approval beside them. All of it follows from the model package, so it can be written at any time,
and again. The record that counts is ours (docs/lineage.md); this is a copy of a part of it, made where
``LOOKBOOK_SAGEMAKER_LINEAGE`` is set.

    python -m lookbook.lineage.sagemaker_ml record v7    # write it now, for a model that was registered without
    python -m lookbook.lineage.sagemaker_ml show v7      # what SageMaker says that it came from and went into
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from lookbook.errors import LookbookError, PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.lineage import sagemaker_entities as entities
from lookbook.lineage.sagemaker_entities import Found
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

# What a retry can't mend: not allowed, the account's quota reached, or a request that SageMaker has another idea of.
_REFUSALS = ("AccessDenied", "AccessDeniedException", "ResourceLimitExceeded", "ValidationException")

T = TypeVar("T")


@dataclass(frozen=True)
class History:
    """What SageMaker's lineage says that a thing came from and went into; nearest first."""

    of: str
    came_from: tuple[Found, ...]
    went_into: tuple[Found, ...]


def record_model(package_arn: str) -> None:
    """Write down what a model package came from, if it is set so; done again, it changes nothing.

    A refusal is a warning: the package is there, whether SageMaker's lineage knows of it or not.

    Raises:
        RetryableError: SageMaker doesn't answer now.
    """
    _recorded(package_arn, None)


def record_deployment(package_arn: str, endpoint_config: str) -> None:
    """Write down that a model was approved and came into service, and what it came from, if it is set so.

    As :func:`record_model`; done again, it changes nothing.
    """
    _recorded(package_arn, endpoint_config)


def dataset_expired(uri: str) -> None:
    """Say of a data set that it is gone, and let the associations of its drops go, if it is set so.

    A data set has pairs of every drop so far, so these associations are what would use up the account's quota first.
    Which drops they were stays in the data set's properties. A refusal is a warning, as in :func:`record_model`.
    """
    if get_settings().sagemaker_lineage:
        _attempted(uri, lambda: _forget_drops(uri))


def lineage_of(uri: str) -> History:
    """Return what SageMaker's lineage says that a thing came from and went into.

    Args:
        uri: of the thing: a package's or an endpoint's ARN, the S3 URI of a drop, a data set or an artefact.

    Raises:
        PermanentError: it knows no such thing.
    """
    arn = entities.find(uri)
    if arn is None:
        raise PermanentError(
            f"SageMaker's lineage knows nothing of {uri}. Was LOOKBOOK_SAGEMAKER_LINEAGE set when it was made?"
        )
    ascendants, descendants = entities.reached(arn, "Ascendants"), entities.reached(arn, "Descendants")
    return History(uri, tuple(ascendants), tuple(descendants))


def _recorded(package_arn: str, endpoint_config: str | None) -> None:
    if not get_settings().sagemaker_lineage:
        return
    written = _attempted(package_arn, lambda: _write(package_arn, endpoint_config))
    told = "{} entities, {} associations".format(*written) if written else "not recorded; see the task's log"
    records.details(sagemaker_lineage=told)
    log.info("SageMaker's lineage of %s: %s.", package_arn, told)


def _write(package_arn: str, endpoint_config: str | None) -> tuple[int, int]:
    # Imported here: it reads the tables and the registry, which tells this module of what it approves.
    from lookbook.lineage import sagemaker_history

    model = sagemaker_history.Model(package_arn)
    of_service = sagemaker_history.of_service(model, endpoint_config) if endpoint_config else ()
    return entities.write([*sagemaker_history.of_model(model), *of_service])


def _attempted(what: str, call: Callable[[], T]) -> T | None:
    """Return what a call returns; ``None``, with a warning, where SageMaker refuses it or there is nothing to tell."""
    try:
        return call()
    except (ClientError, BotoCoreError, PermanentError) as error:
        if not _is_final(error):
            raise RetryableError(f"SageMaker's lineage of {what} can't be written now: {error}") from error
        log.warning(
            "SageMaker's lineage of %s is not written: %s. Nothing else is lost: docs/aws.md has the permissions that "
            "it takes, and `python -m lookbook.lineage.sagemaker_ml record` writes it later.",
            what,
            error,
        )
        return None


def _is_final(error: Exception) -> bool:
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] in _REFUSALS
    return isinstance(error, ParamValidationError | PermanentError)


def _forget_drops(uri: str) -> None:
    if arn := entities.find(uri):
        gone = entities.disassociate(arn, "Drop")
        entities.update(arn, {"expired": datetime.now(UTC).date().isoformat()})
        log.info("SageMaker's lineage: %s is gone, and %d associations of its drops.", uri, gone)


def _shown(history: History) -> str:
    lines = [history.of]
    for title, found in (("came from", history.came_from), ("went into", history.went_into)):
        lines += [f"{title}:", *(f"  {one.kind} {one.type}: {one.uri}" for one in found)]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or show the lineage of a version, whatever the setting says; return 1 when that can't be done."""
    from lookbook.training import registry

    parser = argparse.ArgumentParser(prog="python -m lookbook.lineage.sagemaker_ml")
    parser.add_argument("what", choices=("record", "show"))
    parser.add_argument("version", help="of the model, as v7")
    asked = parser.parse_args(arguments)
    try:
        package_arn = registry.package_of(asked.version)
        if package_arn is None:
            raise PermanentError(f"The registry has no model {asked.version}. A model is named by its version: v7.")
        if asked.what == "record":
            _write(package_arn, registry.describe(package_arn)["CustomerMetadataProperties"].get("endpoint_config"))
        sys.stdout.write(f"{_shown(lineage_of(package_arn))}\n")
    except (LookbookError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
