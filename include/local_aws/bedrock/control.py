"""Bedrock's control plane: the batch jobs' operations by path, requests in, answers out, both by botocore's model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from local_aws import shapes
from local_aws.bedrock.batch_jobs import BatchJobs
from local_aws.errors import validation
from local_aws.state import Document

Operation = Callable[[Document, str], Document]


class ControlPlane:
    """Answers what isn't a call of a model."""

    def __init__(self, jobs: BatchJobs) -> None:
        self._operations: list[tuple[str, re.Pattern[str], str, Operation]] = [
            ("POST", re.compile("/model-invocation-job"), "CreateModelInvocationJob", jobs.create),
            ("GET", re.compile("/model-invocation-jobs"), "ListModelInvocationJobs", jobs.page),
            ("GET", re.compile("/model-invocation-job/(?P<jobIdentifier>[^/]+)"), "GetModelInvocationJob", jobs.get),
            (
                "POST",
                re.compile("/model-invocation-job/(?P<jobIdentifier>[^/]+)/stop"),
                "StopModelInvocationJob",
                jobs.stop,
            ),
        ]

    async def handle(self, request: Request, region: str) -> Response | None:
        """Answer a request; None if there is no such operation.

        Raises:
            AwsError: it is refused.
        """
        path = request.scope["raw_path"].decode().split("?")[0]
        for method, pattern, name, carry_out in self._operations:
            if request.method == method and (found := pattern.fullmatch(path)):
                model, body = shapes.operation("bedrock", name), shapes.parse_json(await request.body())
                if not isinstance(body, dict):
                    raise validation("The request body must be a JSON object.")
                named = {member: unquote(value) for member, value in found.groupdict().items()}
                given = {**body, **_query(model.input_shape, request), **named}
                answer = shapes.write(model.output_shape, carry_out(shapes.read(model.input_shape, given), region))
                return Response(json.dumps(answer), 200, media_type="application/json")
        return None


def _query(shape: Any, request: Request) -> Document:
    """Return the members that stand in the query, in the types that the shape has."""
    members = {name: shape.members[name] for name in request.query_params if name in shape.members}
    return {name: _typed(member.type_name, request.query_params[name]) for name, member in members.items()}


def _typed(kind: str, text: str) -> Any:
    try:
        if kind == "timestamp":
            return datetime.fromisoformat(text).timestamp()
        return int(text) if kind == "integer" else text
    except ValueError as error:
        raise validation(f"{text!r} is no {kind}.") from error
