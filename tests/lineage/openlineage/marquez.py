"""What Marquez makes of OpenLineage events, replayed: this is not Marquez, which needs a JVM and PostgreSQL.

It follows Marquez's API as its ``spec/openapi.yml`` and its classes ``LineageEvent``, ``NamespaceName`` and ``NodeId``
have it: which members an event must have, which characters a namespace may have, how a node's id is taken apart, and
that a job's place in the graph is that of its last complete run. It keeps in memory what the graph needs, and nothing
of versions, tags or search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Thread
from typing import Any
from uuid import UUID

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_NAMESPACE = re.compile(r"[a-zA-Z:;=/0-9_\-.]{1,1024}")
_BETWEEN_PARTS = re.compile(r":(?!//|\d+)")


@dataclass
class Marquez:
    """Jobs with the datasets of their last complete run, datasets with their facets, runs with their state."""

    jobs: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)

    def record(self, event: dict[str, Any]) -> None:
        """Take an event in.

        Raises:
            ValueError: Marquez would refuse it.
        """
        job = _node("job", event["job"])
        datetime.fromisoformat(event["eventTime"])
        state, run = event.get("eventType"), str(UUID(event["run"]["runId"]))
        if not event["producer"]:
            raise ValueError("an event has a producer")
        inputs, outputs = ([self._dataset(one) for one in event.get(side, [])] for side in ("inputs", "outputs"))
        self.runs[run] = state or self.runs.get(run, "")
        self.jobs.setdefault(job, (set(), set()))
        if state == "COMPLETE":
            self.jobs[job] = (set(inputs), set(outputs))

    def graph(self, start: str, depth: int = 20) -> list[dict[str, Any]]:
        """Return the nodes around a node as ``GET /api/v1/lineage`` does: those it comes from and those it goes to."""
        edges = [(one, job) for job, (read, _) in self.jobs.items() for one in read]
        edges += [(job, one) for job, (_, written) in self.jobs.items() for one in written]
        found = {start}
        for _ in range(depth):
            found |= {a for a, b in edges if b in found} | {b for a, b in edges if a in found}
        return [
            {
                "id": one,
                "type": one.partition(":")[0].upper(),
                "data": self.datasets.get(one, {}),
                "inEdges": [{"origin": a, "destination": b} for a, b in edges if b == one],
                "outEdges": [{"origin": a, "destination": b} for a, b in edges if a == one],
            }
            for one in sorted(found)
        ]

    def _dataset(self, dataset: dict[str, Any]) -> str:
        node = _node("dataset", dataset)
        for name, facet in (dataset.get("facets") or {}).items():
            if not {"_producer", "_schemaURL"} <= facet.keys():
                raise ValueError(f"facet {name} of {node} does not say who made it by which schema")
        fields = (dataset.get("facets") or {}).get("schema", {}).get("fields", [])
        if not all(one.get("name") for one in fields):
            raise ValueError(f"a field of {node} has no name")
        self.datasets[node] = {**self.datasets.get(node, {}), **(dataset.get("facets") or {})}
        return node


def _node(kind: str, named: dict[str, Any]) -> str:
    """Return a node's id, which must lead back to what it is the id of."""
    namespace, name = named["namespace"], named["name"]
    if not _NAMESPACE.fullmatch(namespace) or not name:
        raise ValueError(f"namespace {namespace!r} or name {name!r} is none")
    node = f"{kind}:{namespace}:{name}"
    parts = node.split(":")
    if len(parts) != 3:
        parts = _BETWEEN_PARTS.split(node, maxsplit=2)
    if parts != [kind, namespace, name]:
        raise ValueError(f"{node} would be taken apart as {parts}")
    return node


def upstream(graph: list[dict[str, Any]], start: str) -> set[str]:
    """Return every node that ``start`` comes from, by the edges that lead into nodes."""
    into = {node["id"]: [edge["origin"] for edge in node["inEdges"]] for node in graph}
    found: set[str] = set()
    ahead = [start]
    while ahead:
        fresh = set(into.get(ahead.pop(), [])) - found  # the graph ends somewhere
        found |= fresh
        ahead += fresh
    return found


def _application(marquez: Marquez) -> Starlette:
    async def lineage(request: Request) -> Response:
        try:
            marquez.record(await request.json())
        except (KeyError, ValueError) as error:
            return JSONResponse({"code": 422, "message": repr(error)}, 422)
        return Response(status_code=201)

    async def graph(request: Request) -> Response:
        return JSONResponse({"graph": marquez.graph(request.query_params["nodeId"])})

    return Starlette(
        routes=[Route("/api/v1/lineage", lineage, methods=["POST"]), Route("/api/v1/lineage", graph, methods=["GET"])]
    )


@contextmanager
def serving(marquez: Marquez) -> Iterator[str]:
    """Answer on a free port of this machine; yield the address."""
    server = uvicorn.Server(uvicorn.Config(_application(marquez), port=0, log_level="warning"))
    socket = server.config.bind_socket()
    thread = Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
