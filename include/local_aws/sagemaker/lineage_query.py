"""QueryLineage: from an entity along its associations, so many steps far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from local_aws.errors import unsupported
from local_aws.sagemaker import lineage
from local_aws.sagemaker.lineage import Vertex
from local_aws.sagemaker.listing import read_token, write_token
from local_aws.state import Document, Store

_DEEPEST = 10
_LARGEST_PAGE = 50


@dataclass
class _Walk:
    """The entities that were reached, nearest first, the associations on the way, and who was reached from where."""

    reached: list[str]
    edges: dict[tuple[str, str], Document] = field(default_factory=dict)
    reached_from: dict[str, list[str]] = field(default_factory=dict)

    def step(self, frontier: Sequence[str], neighbours: Mapping[str, Sequence[tuple[str, Document]]]) -> list[str]:
        """Go one step on from ``frontier``; return who is reached for the first time."""
        before, following = set(self.reached), dict[str, None]()
        for here in frontier:
            for there, edge in neighbours.get(here, ()):
                self.edges[edge["SourceArn"], edge["DestinationArn"]] = edge
                if there not in before:
                    self.reached_from.setdefault(there, []).append(here)
                    following[there] = None
        self.reached += following
        return list(following)


class LineageQuery:
    """The operation that follows lineage."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def query(self, request: Document) -> Document:
        """Return a page of the entities that are reached from one, itself among them.

        Filters choose what is returned, not what is walked through. With ``IncludeEdges``, the entities on the way to
        what they choose are returned too, and the associations between all that is returned.
        """
        if not request.get("StartArns"):
            raise unsupported("QueryLineage without StartArns")
        with self._store.transaction():
            walk = self._walk(request["StartArns"][0], request)
            vertices = {arn: lineage.vertex(self._store, arn) for arn in walk.reached}
        chosen = {arn for arn, found in vertices.items() if _passes(found, request.get("Filters", {}))}
        if request.get("IncludeEdges"):
            chosen = _with_ways(chosen, walk.reached_from)
        order = [arn for arn in walk.reached if arn in chosen]
        return _page(order, vertices, list(walk.edges.values()) if request.get("IncludeEdges") else [], request)

    def _walk(self, start: str, request: Document) -> _Walk:
        neighbours = _neighbours(self._store.all(lineage.ASSOCIATION), request.get("Direction", "Both"))
        walk, frontier = _Walk([start]), [start]
        for _ in range(min(request.get("MaxDepth", _DEEPEST), _DEEPEST)):
            frontier = walk.step(frontier, neighbours)
        return walk


def _neighbours(associations: Sequence[Document], direction: str) -> Mapping[str, list[tuple[str, Document]]]:
    """Return, by entity, the entities one step away in a direction, with the association that leads there."""
    found: dict[str, list[tuple[str, Document]]] = {}
    for edge in sorted(associations, key=lambda one: one["CreationTime"]):
        source, destination = edge["SourceArn"], edge["DestinationArn"]
        if direction in ("Descendants", "Both"):
            found.setdefault(source, []).append((destination, edge))
        if direction in ("Ascendants", "Both"):
            found.setdefault(destination, []).append((source, edge))
    return found


def _with_ways(chosen: set[str], reached_from: Mapping[str, list[str]]) -> set[str]:
    """Return some entities and all that lie on the way to them."""
    whole, waiting = set(chosen), list(chosen)
    while waiting:
        for before in reached_from.get(waiting.pop(), ()):
            if before not in whole:
                whole.add(before)
                waiting.append(before)
    return whole


def _passes(vertex: Vertex, filters: Document) -> bool:
    found, title = vertex.document, lineage.TITLES[vertex.kind]
    modified: float = found["LastModifiedTime"]
    properties = found.get("Properties", {})
    return (
        vertex.type in (filters.get("Types") or [vertex.type])
        and title in (filters.get("LineageTypes") or [title])
        and lineage.was_created_within(found, filters)
        and filters.get("ModifiedAfter", modified) <= modified <= filters.get("ModifiedBefore", modified)
        and all(properties.get(key) == value for key, value in filters.get("Properties", {}).items())
    )


def _page(
    order: Sequence[str], vertices: Mapping[str, Vertex], edges: Sequence[Document], request: Document
) -> Document:
    """Return a page of vertices; an edge comes with the later of its ends, so that it comes once."""
    start = read_token(request.get("NextToken"))
    end = start + int(request.get("MaxResults", _LARGEST_PAGE))
    place = {arn: number for number, arn in enumerate(order)}
    return {
        "Vertices": [_shown(vertices[arn]) for arn in order[start:end]],
        "Edges": list(_between(edges, place, start, end)),
        "NextToken": write_token(end) if end < len(order) else None,
    }


def _between(edges: Sequence[Document], place: Mapping[str, int], start: int, end: int) -> Iterator[Document]:
    for edge in edges:
        ends = [place.get(edge["SourceArn"], -1), place.get(edge["DestinationArn"], -1)]
        if min(ends) >= 0 and start <= max(ends) < end:
            yield edge


def _shown(vertex: Vertex) -> Document:
    return {"Arn": vertex.arn, "Type": vertex.type, "LineageType": lineage.TITLES[vertex.kind]}
