"""Artifacts, actions, contexts and associations of SageMaker's ML lineage, through sagemaker-core.

Everything here is done once, however often it is asked for: what is there is found by its source or name, and gets
the properties that are new. Entities that SageMaker made by itself (it does so of jobs, packages and endpoints) are
used as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from botocore.exceptions import ClientError

from lookbook.aws import client
from lookbook.settings import get_settings

Kind = Literal["Artifact", "Action", "Context"]
Relation = Literal["ContributedTo", "AssociatedWith", "DerivedFrom", "Produced"]

_OURS = "made_by"
_VALUE_LIMIT = 2500  # of a property
_PAGE = 50  # vertices, as many as QueryLineage returns at once


@dataclass(frozen=True)
class Entity:
    """One thing of a model's history.

    Attributes:
        kind: which of SageMaker's kinds.
        type: what it is, in SageMaker's own word where it has one (``DataSet``, ``Image``, ``TrainingJob`` …).
        uri: where it is: an S3 or image URI, or an ARN. An artifact is recognised by it.
        name: letters, digits and hyphens, at most 120; an action or a context that we make is recognised by it.
        properties: shown with it; at most 29.
    """

    kind: Kind
    type: str
    uri: str
    name: str
    properties: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Association:
    """What ``source`` did for ``destination``."""

    source: Entity
    relation: Relation
    destination: Entity


@dataclass(frozen=True)
class Found:
    """An entity as SageMaker describes it."""

    arn: str
    kind: str
    type: str
    uri: str
    name: str | None
    properties: Mapping[str, str]


def write(associations: Iterable[Association]) -> tuple[int, int]:
    """Make sure that associations and their entities are there; return how many of each.

    Raises:
        botocore.exceptions.ClientError: SageMaker refuses.
    """
    wanted = list(associations)
    entities = dict.fromkeys(end for one in wanted for end in (one.source, one.destination))
    arns = {entity: _ensure(entity) for entity in entities}
    for destination in dict.fromkeys(one.destination for one in wanted):
        _associate(arns, [one for one in wanted if one.destination == destination])
    return len(arns), len(wanted)


def find(uri: str) -> str | None:
    """Return the ARN of the artifact or context with a source URI, ``None`` where there is none."""
    sagemaker = client("sagemaker")
    for summary in sagemaker.list_artifacts(SourceUri=uri)["ArtifactSummaries"]:
        return str(summary["ArtifactArn"])
    for summary in sagemaker.list_contexts(SourceUri=uri)["ContextSummaries"]:
        return str(summary["ContextArn"])
    return None


def reached(arn: str, direction: Literal["Ascendants", "Descendants"]) -> list[Found]:
    """Return what an entity came from or went into, nearest first, itself not among it; at most ten steps away.

    Asked with boto3: sagemaker-core has no QueryLineage, and builds a validator anew for each thing it describes.
    """
    return [_describe(vertex) for vertex in _vertices(arn, direction) if vertex["Arn"] != arn]


def update(arn: str, properties: Mapping[str, str]) -> None:
    """Give an artifact properties, beside those that it has."""
    _core().Artifact(artifact_arn=arn).update(properties=_printable(properties))


def disassociate(arn: str, source_type: str) -> int:
    """Delete the associations of an artifact with its sources of a type; return how many there were."""
    found = list(_core().Association.get_all(destination_arn=arn, source_type=source_type))
    for association in found:
        association.delete()
    return len(found)


class _OurClients:
    """Stands in for a boto3 session: its clients have the address, region, retries and timeouts of the settings."""

    def client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        return client(service_name)


@lru_cache(maxsize=1)
def _imported() -> tuple[Any, Any]:
    """Return sagemaker-core's resources and its connection, imported when first asked for: 1.5 s and 54 MB."""
    from sagemaker_core.main import resources, utils

    for module in (resources, utils):
        # They tell of every call, in colours, and call it an error that associations have no name. Errors are raised.
        module.logger.setLevel(logging.CRITICAL)
    connection = utils.SageMakerClient(session=_OurClients(), region_name=get_settings().aws_region)
    return resources, connection


def _core() -> Any:
    """Return sagemaker-core's resources, with our SageMaker client behind them."""
    resources, connection = _imported()
    # There is one connection a process, which keeps the client that it was made with.
    connection.sagemaker_client = client("sagemaker")
    return resources


def _ensure(entity: Entity) -> str:
    """Return the ARN of an entity, which is found, brought up to date, or made."""
    found = _find(entity)
    if found is None:
        try:
            return _arn(_create(entity), entity.kind)
        except ClientError:
            # Somebody may have made it in between, or SageMaker has, and shows it only now.
            if (found := _find(entity)) is None:
                raise
    _bring_up_to_date(found, entity)
    return _arn(found, entity.kind)


def _find(entity: Entity) -> Any:
    core = _core()
    if entity.kind == "Artifact":
        return next(iter(core.Artifact.get_all(source_uri=entity.uri)), None)
    if entity.kind == "Context":
        same = next(iter(core.Context.get_all(source_uri=entity.uri, context_type=entity.type)), None)
        return same or _named(core.Context, context_name=entity.name)
    return _named(core.Action, action_name=entity.name)


def _named(resource: Any, **name: str) -> Any:
    with suppress(client("sagemaker").exceptions.ResourceNotFound):
        return resource.get(**name)
    return None


def _create(entity: Entity) -> Any:
    core, properties = _core(), _properties(entity)
    if entity.kind == "Artifact":
        return core.Artifact.create(
            source=core.shapes.ArtifactSource(source_uri=entity.uri),
            artifact_type=entity.type,
            artifact_name=entity.name,
            properties=properties,
        )
    if entity.kind == "Action":
        source = core.shapes.ActionSource(source_uri=entity.uri)
        return core.Action.create(
            action_name=entity.name, source=source, action_type=entity.type, status="Completed", properties=properties
        )
    source = core.shapes.ContextSource(source_uri=entity.uri)
    return core.Context.create(context_name=entity.name, source=source, context_type=entity.type, properties=properties)


def _bring_up_to_date(found: Any, entity: Entity) -> None:
    """Give an entity of ours the properties that it should have now."""
    known, wanted = _known(found.properties), _properties(entity)
    if known.get(_OURS) == wanted[_OURS] and known != known | wanted:
        found.update(properties=wanted)


def _associate(arns: Mapping[Entity, str], wanted: list[Association]) -> None:
    """Add what is missing of associations that have one destination."""
    core, destination = _core(), arns[wanted[0].destination]
    known = {one.source_arn for one in core.Association.get_all(destination_arn=destination)}
    for one in wanted:
        if (source := arns[one.source]) not in known:
            _add(source, destination, one.relation)


def _add(source: str, destination: str, relation: Relation) -> None:
    try:
        _core().Association.add(source_arn=source, destination_arn=destination, association_type=relation)
    except ClientError as error:
        # What is new shows in SageMaker's lists after a moment only: it may be there nevertheless.
        if "already exist" not in error.response["Error"]["Message"].lower():
            raise


def _vertices(arn: str, direction: str) -> Iterator[dict[str, Any]]:
    asked: dict[str, Any] = {"StartArns": [arn], "Direction": direction, "MaxResults": _PAGE}
    while True:
        page = client("sagemaker").query_lineage(**asked)
        yield from page["Vertices"]
        if not page.get("NextToken"):
            return
        asked["NextToken"] = page["NextToken"]


def _describe(vertex: Mapping[str, Any]) -> Found:
    """Return a vertex of a query with what it stands for; a job's own trial component stands for itself."""
    arn, kind = vertex["Arn"], vertex["LineageType"]
    name = arn.partition("/")[2]
    if kind == "TrialComponent":
        return Found(arn, kind, vertex["Type"], arn, name, {})
    named = {"ArtifactArn": arn} if kind == "Artifact" else {f"{kind}Name": name}
    found = getattr(client("sagemaker"), f"describe_{kind.lower()}")(**named)
    uri, properties = found["Source"]["SourceUri"], found.get("Properties", {})
    return Found(arn, kind, vertex["Type"], uri, found.get(f"{kind}Name"), properties)


def _arn(found: Any, kind: Kind) -> str:
    return str(getattr(found, f"{kind.lower()}_arn"))


def _known(properties: Any) -> dict[str, str]:
    """Return an entity's properties; one that has none has a placeholder in their place."""
    return dict(properties) if isinstance(properties, Mapping) else {}


def _properties(entity: Entity) -> dict[str, str]:
    return _printable({_OURS: "lookbook", **entity.properties})


def _printable(properties: Mapping[str, str]) -> dict[str, str]:
    """Return properties as SageMaker takes them: on one line, not too long; empty ones are left out."""
    shown = {name: " ".join(value.split())[:_VALUE_LIMIT] for name, value in properties.items()}
    return {name: value for name, value in shown.items() if value}
