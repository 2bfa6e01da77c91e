"""ML lineage: artifacts, actions and contexts, and the associations that make a graph of them.

AWS makes such entities of jobs, packages and endpoints by itself; here there are those that callers create. What AWS
documents is kept to: one artifact for a source URI, one action or context for a name, one association for a pair,
and as many of each as an account may create by hand.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from local_aws.errors import AwsError, validation
from local_aws.sagemaker import names
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.tags import Tags
from local_aws.settings import ACCOUNT
from local_aws.state import Document, Store

ASSOCIATION = "association"
"""The kind of an association's document; it is no resource and has no ARN."""

TITLES = {names.ARTIFACT: "Artifact", names.ACTION: "Action", names.CONTEXT: "Context"}

# https://docs.aws.amazon.com/sagemaker/latest/dg/lineage-tracking-manual-creation.html, "Limits".
_MOST = {names.ACTION: 3000, names.ARTIFACT: 6000, names.CONTEXT: 500, ASSOCIATION: 6000}
_MOST_PROPERTIES = 30
_CREATOR = {"UserProfileArn": f"arn:aws:iam::{ACCOUNT}:root"}
_GROUP = names.arn("lineage-group", "sagemaker-default-lineage-group")
_UPDATABLE = ("Description", "Status")
_ASSOCIATIONS = Listing("AssociationSummaries", "SourceArn", descending=True)


@dataclass(frozen=True)
class Vertex:
    """An entity as the graph sees it."""

    arn: str
    kind: str
    document: Document

    @property
    def type(self) -> str:
        """What its maker called it: ``DataSet``, ``Endpoint`` …"""
        found: str = self.document[f"{TITLES[self.kind]}Type"]
        return found

    @property
    def name(self) -> str | None:
        """Its name; an artifact need not have one."""
        return self.document.get(f"{TITLES[self.kind]}Name")


def vertex(store: Store, arn: str) -> Vertex:
    """Return an entity.

    Raises:
        AwsError: there is none of that ARN. Experiments and trial components, which also may be associated on AWS,
            don't exist here.
    """
    kind, _, name = arn.rpartition(":")[2].partition("/")
    document = store.get(kind, name) if kind in names.LINEAGE_KINDS else None
    if document is None or document[f"{TITLES[kind]}Arn"] != arn:
        raise _not_found(f"Lineage entity {arn}")
    return Vertex(arn, kind, document)


class Entities:
    """The operations of one kind of entity; each takes and returns what its AWS namesake does.

    Artifacts are named by an id that the service gives them, actions and contexts by their maker.
    """

    def __init__(self, store: Store, tags: Tags, kind: str) -> None:
        self._store, self._tags, self._kind, self._title = store, tags, kind, TITLES[kind]
        self._arn, self._name = f"{self._title}Arn", f"{self._title}Name"
        self._listing = Listing(f"{self._title}Summaries", self._arn, descending=True)
        if kind != names.ARTIFACT:
            self._listing = Listing(f"{self._title}Summaries", self._name, descending=True)

    def create(self, request: Document) -> Document:
        """Create an entity, unless there is one of its source or name."""
        key = uuid.uuid4().hex if self._kind == names.ARTIFACT else request[self._name]
        arn, now = names.arn(self._kind, key), time.time()
        _check_properties(request.get("Properties", {}))
        with self._store.transaction():
            self._check_new(request)
            check_quota(self._store, self._kind)
            made = {self._arn: arn, "CreationTime": now, "LastModifiedTime": now, "LineageGroupArn": _GROUP}
            made |= {"CreatedBy": _CREATOR, "LastModifiedBy": _CREATOR}
            self._store.put(self._kind, key, {**request, **made})
            self._tags.set(arn, request.get("Tags", []))
        return {self._arn: arn}

    def describe(self, request: Document) -> Document:
        """Return an entity."""
        return self._find(request)

    def list(self, request: Document) -> Document:
        """Return a page of entities."""
        found = [one for one in self._store.all(self._kind) if self._matches(one, request)]
        return self._listing.answer(found, request)

    def update(self, request: Document) -> Document:
        """Add properties or replace their values, remove some, and change what else may change."""
        with self._store.transaction():
            found = self._find(request)
            removed = request.get("PropertiesToRemove", [])
            merged = {**found.get("Properties", {}), **request.get("Properties", {})}
            properties = {key: value for key, value in merged.items() if key not in removed}
            _check_properties(properties)
            updatable = (*_UPDATABLE, self._name) if self._kind == names.ARTIFACT else _UPDATABLE
            changes = {member: request[member] for member in updatable if member in request}
            changes |= {"Properties": properties, "LastModifiedTime": time.time(), "LastModifiedBy": _CREATOR}
            self._store.update(self._kind, self._key(found), **changes)
        return {self._arn: found[self._arn]}

    def delete(self, request: Document) -> Document:
        """Delete an entity that is associated with none."""
        with self._store.transaction():
            found = self._find(request)
            arn = found[self._arn]
            if any(arn in (one["SourceArn"], one["DestinationArn"]) for one in self._store.all(ASSOCIATION)):
                raise validation(f"{self._title} {arn} cannot be deleted: it has associations. Delete them first.")
            self._store.delete(self._kind, self._key(found))
            self._tags.forget(arn)
        return {self._arn: arn}

    def _key(self, found: Document) -> str:
        return names.bare(found[self._arn])

    def _find(self, request: Document) -> Document:
        """Return the entity that a request names: an artifact by ARN or source, an action or context by name or ARN."""
        named = request.get(self._arn if self._kind == names.ARTIFACT else self._name)
        if named is None:
            return self._find_by_source(request)
        found = self._store.get(self._kind, names.bare(named))
        if found is None or (named.startswith("arn:") and found[self._arn] != named):
            raise _not_found(f"{self._title} {named}")
        return found

    def _find_by_source(self, request: Document) -> Document:
        if "Source" not in request:
            raise validation("Either ArtifactArn or Source must be given.")
        if found := self._by_source(request):
            return found
        raise _not_found(f"{self._title} with source {request['Source']['SourceUri']}")

    def _by_source(self, request: Document) -> Document | None:
        uri = request["Source"]["SourceUri"]
        return next((one for one in self._store.all(self._kind) if one["Source"]["SourceUri"] == uri), None)

    def _check_new(self, request: Document) -> None:
        if self._kind == names.ARTIFACT and (found := self._by_source(request)):
            uri = request["Source"]["SourceUri"]
            raise validation(f"Artifact with source {uri} already exists: {found[self._arn]}")
        if self._kind != names.ARTIFACT and self._store.get(self._kind, request[self._name]):
            raise validation(f"{self._title} already exists: {names.arn(self._kind, request[self._name])}")

    def _matches(self, found: Document, request: Document) -> bool:
        if request.get("SourceUri") not in (None, found["Source"]["SourceUri"]):
            return False
        kind = f"{self._title}Type"
        return request.get(kind) in (None, found[kind]) and was_created_within(found, request)


class Associations:
    """The operations of associations."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, request: Document) -> Document:
        """Associate two entities, once."""
        source, destination = request["SourceArn"], request["DestinationArn"]
        with self._store.transaction():
            ends = vertex(self._store, source), vertex(self._store, destination)
            key = _pair(request)
            if source == destination:
                raise validation(f"{source} cannot be associated with itself.")
            if self._store.get(ASSOCIATION, key):
                raise validation(f"Association between {source} and {destination} already exists.")
            check_quota(self._store, ASSOCIATION)
            made = {"CreationTime": time.time(), "CreatedBy": _CREATOR, **_types(*ends)}
            self._store.put(ASSOCIATION, key, {**request, **made})
        return {"SourceArn": source, "DestinationArn": destination}

    def list(self, request: Document) -> Document:
        """Return a page of associations, with the names that their entities have now."""
        page = _ASSOCIATIONS.answer([one for one in self._store.all(ASSOCIATION) if _matches(one, request)], request)
        return {**page, _ASSOCIATIONS.member: [self._named(one) for one in page[_ASSOCIATIONS.member]]}

    def delete(self, request: Document) -> Document:
        """Delete an association."""
        key = _pair(request)
        with self._store.transaction():
            if self._store.get(ASSOCIATION, key) is None:
                raise _not_found(f"Association between {request['SourceArn']} and {request['DestinationArn']}")
            self._store.delete(ASSOCIATION, key)
        return request

    def _named(self, association: Document) -> Document:
        ends = ((end, vertex(self._store, association[f"{end}Arn"])) for end in ("Source", "Destination"))
        return {**association, **{f"{end}Name": found.name for end, found in ends}}


def check_quota(store: Store, kind: str) -> None:
    """Make sure that an account may create one more entity of a kind.

    Raises:
        AwsError: it has as many as it may have.
    """
    if store.count(kind) >= _MOST[kind]:
        title = TITLES.get(kind, "Association")
        raise AwsError(
            "ResourceLimitExceeded", f"The account-level service limit of {_MOST[kind]} {title}s is reached."
        )


def was_created_within(document: Document, bounds: Document) -> bool:
    """Return whether a document was created between a request's ``CreatedAfter`` and ``CreatedBefore``."""
    created: float = document["CreationTime"]
    earliest, latest = float(bounds.get("CreatedAfter", created)), float(bounds.get("CreatedBefore", created))
    return earliest <= created <= latest


def _matches(association: Document, request: Document) -> bool:
    members = ("SourceArn", "DestinationArn", "SourceType", "DestinationType", "AssociationType")
    same = all(request.get(member) in (None, association.get(member)) for member in members)
    return same and was_created_within(association, request)


def _types(source: Vertex, destination: Vertex) -> dict[str, Any]:
    return {"SourceType": source.type, "DestinationType": destination.type}


def _pair(request: Document) -> str:
    return f"{request['SourceArn']} {request['DestinationArn']}"


def _check_properties(properties: Document) -> None:
    if len(properties) > _MOST_PROPERTIES:
        raise validation(f"An entity may have {_MOST_PROPERTIES} properties; it would have {len(properties)}.")


def _not_found(what: str) -> AwsError:
    return AwsError("ResourceNotFound", f"{what} does not exist.")
