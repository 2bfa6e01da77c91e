"""Which endpoint configs, models, artefacts, checkpoints and data sets nothing refers to any more.

:func:`expired` is a function of the inventory alone. What refers to what:

endpoint → endpoint config → model → artefact, and package → artefact, data set. An endpoint's config is referred to
while the endpoint has it or moves to it; a package's model, artefact and data set while the package awaits approval
or is among the latest approved ones; whatever a running job reads or writes, while it runs. Descriptions name the
config and the version that answered: these configs and the versions' data sets stay, so that every description can be
traced, but not the artefacts, which weigh gigabytes and can be trained again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from lookbook import storage
from lookbook.aws import client
from lookbook.housekeeping import inventory as stock
from lookbook.housekeeping.inventory import Inventory, Package, Prefix
from lookbook.housekeeping.plans import Expiry, Kind, Plan
from lookbook.lineage import sagemaker_ml
from lookbook.settings import get_settings
from lookbook.training import registry

log = logging.getLogger(__name__)

_MARKER = "dataset.json"  # where it is, the whole data set is


@dataclass(frozen=True)
class References:
    """What must stay: names of configs and models, URIs of artefacts and of what jobs use, data set ids."""

    configs: frozenset[str]
    models: frozenset[str]
    uris: frozenset[str]
    datasets: frozenset[str]


def plan(now: datetime | None = None) -> Plan:
    """Plan what is to go of models and all that belongs to them."""
    found, now = stock.read(), now or datetime.now(UTC)
    existing: dict[Kind, int] = {
        "endpoint_config": sum(config.ours for config in found.configs.values()),
        "model": sum(model.ours for model in found.models.values()),
        "artefact": len(found.job_outputs),
        "data_set": len(found.datasets),
    }
    return Plan("models", now, tuple(expired(found, _youngest(now))), existing)


def expired(found: Inventory, youngest: datetime) -> Iterator[Expiry]:
    """Yield what may go, each before what it refers to.

    Args:
        found: what there is.
        youngest: what was made or written later stays, whatever refers to it.
    """
    kept = references(found, get_settings().keep_champions, youngest)
    for config in found.configs.values():
        if config.ours and config.name not in kept.configs:
            yield Expiry("endpoint_config", config.name, "no endpoint, kept model or description", config.created)
    for model in found.models.values():
        if model.ours and model.name not in kept.models:
            yield Expiry("model", model.name, "no kept endpoint config or package", model.created)
    yield from _old("artefact", "no kept model or package, no running job", found.job_outputs, kept.uris, youngest)
    yield from _old("checkpoints", "its job has ended", found.checkpoints, found.busy, youngest)
    datasets = kept.uris | {f"{stock.root_of(stock.DATASETS)}{dataset_id}/" for dataset_id in kept.datasets}
    yield from _old("data_set", "no kept package, no description's model", found.datasets, datasets, youngest)


def references(found: Inventory, keep_champions: int, youngest: datetime) -> References:
    """Return what is referred to, followed from endpoints, packages, running jobs and what is young."""
    packages = _kept_packages(found, keep_champions)
    of_packages = {model.name for model in found.models.values() if _belongs(model.package_arn, packages)}
    serving = {
        config.name
        for config in found.configs.values()
        if not config.ours
        or config.created > youngest
        or config.name in found.deployed_configs
        or (config.models & of_packages and not config.shadowed)
    }
    models = of_packages | {name for config in serving for name in found.configs[config].models}
    models |= {model.name for model in found.models.values() if not model.ours or model.created > youngest}
    used = [found.models[name].artefacts for name in models if name in found.models]
    golden = {package.golden for package in packages if package.golden}
    return References(
        configs=frozenset(serving | found.described_configs),
        models=frozenset(models),
        uris=found.busy.union(golden, *used, *(package.artefacts for package in packages)),
        datasets=frozenset(_datasets(found, packages)),
    )


def expire(expiries: Sequence[Expiry]) -> None:
    """Let things go, in this order; what has gone already is no error."""
    _mark_packages([expiry.name for expiry in expiries if expiry.kind == "artefact"])
    for expiry in expiries:
        if expiry.kind == "endpoint_config":
            _delete("delete_endpoint_config", EndpointConfigName=expiry.name)
        elif expiry.kind == "model":
            _delete("delete_model", ModelName=expiry.name)
        else:
            _delete_objects(expiry.name)
        if expiry.kind == "data_set":
            sagemaker_ml.dataset_expired(expiry.name)


def _youngest(now: datetime) -> datetime:
    return now - timedelta(days=get_settings().expire_after_days)


def _kept_packages(found: Inventory, keep_champions: int) -> list[Package]:
    """Return the packages whose models must stay deployable: pending ones, the latest champions, what serves."""
    approved = sorted((one for one in found.packages if one.ours and one.status == "Approved"), key=_served_last)
    deployed = {
        found.models[model].package_arn
        for name in found.deployed_configs & found.configs.keys()
        for model in found.configs[name].models & found.models.keys()
    }
    return [
        one
        for one in found.packages
        if not one.ours
        or one.status not in ("Approved", "Rejected")
        or one in approved[-keep_champions:]
        or one.arn in deployed
    ]


def _served_last(package: Package) -> tuple[str, int]:
    return package.in_service_since, package.version


def _belongs(package_arn: str | None, packages: Iterable[Package]) -> bool:
    return any(package.arn == package_arn for package in packages)


def _datasets(found: Inventory, packages: Iterable[Package]) -> Iterator[str]:
    described = (one for one in found.packages if one.ours and one.version in found.described_versions)
    for package in (*packages, *described):
        if package.dataset_id:
            yield package.dataset_id


def _old(kind: Kind, why: str, prefixes: Iterable[Prefix], used: Iterable[str], youngest: datetime) -> Iterator[Expiry]:
    used = tuple(used)
    for prefix in prefixes:
        if prefix.written <= youngest and not any(_overlap(prefix.uri, uri) for uri in used):
            yield Expiry(kind, prefix.uri, why, prefix.written, prefix.size)


def _overlap(prefix: str, uri: str) -> bool:
    """Return whether ``uri``, an object or a prefix, lies within the prefix or holds it."""
    return uri.startswith(prefix) or prefix.startswith(uri if uri.endswith("/") else f"{uri}/")


def _delete(operation: str, **name: str) -> None:
    try:
        getattr(client("sagemaker"), operation)(**name)
    except ClientError as error:
        if "Could not find" not in error.response["Error"]["Message"]:
            raise
        log.info("Gone already: %s", *name.values())


def _delete_objects(prefix: str) -> None:
    """Delete everything under a prefix but the reports; a data set's marker first, so that none looks whole."""
    uris = [stored.uri for stored in storage.list_objects(prefix) if not stock.is_report(stored.uri)]
    for uri in sorted(uris, key=lambda uri: not uri.endswith(f"/{_MARKER}")):
        storage.delete(uri)


def _mark_packages(prefixes: Sequence[str]) -> None:
    """Say in the registry that packages' artefacts are gone, before they are: nobody is to deploy them again."""
    for package in stock.packages() if prefixes else ():
        if any(_overlap(prefix, uri) for prefix in prefixes for uri in package.artefacts):
            registry.mark_expired(package.arn)
