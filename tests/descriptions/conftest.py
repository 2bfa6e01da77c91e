"""A Bedrock with a script, and a small catalogue."""

from __future__ import annotations

import json
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pyarrow as pa
import pytest
import uvicorn
from botocore.model import Shape
from pyiceberg.expressions import And
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS, PREDICTED_ATTRIBUTES, PRODUCTS
from lookbook.descriptions import planning, plans
from lookbook.descriptions.asking import Backoff
from lookbook.descriptions.facts import Fact, Facts
from lookbook.descriptions.plans import Redrive, WorkItem, input_hash
from lookbook.descriptions.prompts import load
from lookbook.descriptions.results import Result, Status
from lookbook.settings import get_settings

DROP = "2026-11-16"
PROSE = "product_description@1"  # the prompt version that is answered in prose, which is the shortest to script
STRUCTURED = "product_description@2"
AT_ONCE = Backoff(attempts=3, base_s=0.001, cap_s=0.001)
SOON = Backoff(attempts=3, base_s=0.001, cap_s=0.001, deadline_s=0.5)

Answer = tuple[int, dict[str, Any] | bytes, str | None]


def said(text: str, stop_reason: str = "end_turn", input_tokens: int = 100, output_tokens: int = 20) -> Answer:
    """A Converse reply."""
    usage = {"inputTokens": input_tokens, "outputTokens": output_tokens, "totalTokens": input_tokens + output_tokens}
    content = [{"text": text}] if text else []
    body = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason,
        "usage": usage,
        "metrics": {"latencyMs": 7},
    }
    return 200, body, None


def handed_over(
    given: Mapping[str, Any] | str,
    stop_reason: str = "tool_use",
    name: str = "write_product_text",
    tool_use_id: str = "tooluse_1",
) -> Answer:
    """A Converse reply whose text was handed to the tool."""
    status, body, code = said("", stop_reason)
    assert isinstance(body, dict)
    use = {"toolUse": {"toolUseId": tool_use_id, "name": name, "input": given}}
    body["output"]["message"]["content"] = [use]
    return status, body, code


def refused(code: str, status: int, message: str = "because") -> Answer:
    """An error reply."""
    return status, {"message": message}, code


class ScriptedBedrock:
    """Answers Converse calls as told: a list to be used up, or a function of the request."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.respond: Callable[[dict[str, Any]], Answer] | None = None
        self.requests: list[dict[str, Any]] = []
        self._model = boto3.Session().client("bedrock-runtime", region_name="us-east-1").meta.service_model
        self._lock = threading.Lock()

    async def converse(self, request: Request) -> Response:
        body = json.loads(await request.body())
        with self._lock:
            self.requests.append(body | {"modelId": request.path_params["model"]})
            status, answer, code = self.respond(body) if self.respond else self.script.pop(0)
        headers = {"x-amzn-RequestId": str(uuid.uuid4())} | ({"x-amzn-ErrorType": code} if code else {})
        if isinstance(answer, bytes):
            return Response(answer, status, headers, "application/json")
        if status == 200:
            conforms(answer, self._model.operation_model("Converse").output_shape)
        elif code:
            assert code in {shape.name for shape in self._model.operation_model("Converse").error_shapes}
        return Response(json.dumps(answer), status, headers, "application/json")


def conforms(value: Any, shape: Shape) -> None:
    """Check a reply against botocore's own model of the service, so that the fake can't drift from it."""
    if getattr(shape, "is_document_type", False):
        json.dumps(value)  # any JSON will do
    elif shape.type_name == "structure":
        assert set(value) <= set(shape.members), f"{shape.name} has no {set(value) - set(shape.members)}"
        assert set(shape.required_members) <= set(value), f"{shape.name} lacks a required member"
        for name, member in value.items():
            conforms(member, shape.members[name])
    elif shape.type_name == "list":
        for entry in value:
            conforms(entry, shape.member)
    elif shape.type_name == "string" and shape.enum:
        assert value in shape.enum, f"{value} is none of {shape.enum}"
    else:
        assert isinstance(value, {"string": str, "integer": int, "long": int}[shape.type_name])


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve an app on a free port; give its address."""
    listener = socket.create_server(("127.0.0.1", 0))  # requests wait here from now on, however slow the start
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session")
def bedrock_server() -> Iterator[tuple[ScriptedBedrock, str]]:
    """The scripted Bedrock behind a real address."""
    fake = ScriptedBedrock()
    with serving(Starlette(routes=[Route("/model/{model}/converse", fake.converse, methods=["POST"])])) as url:
        yield fake, url


@pytest.fixture
def bedrock(bedrock_server: tuple[ScriptedBedrock, str], monkeypatch: pytest.MonkeyPatch) -> ScriptedBedrock:
    """The scripted Bedrock, with nothing to say yet, where every client finds it."""
    fake, url = bedrock_server
    fake.script, fake.respond, fake.requests = [], None, []
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", url)
    return fake


def faithful(request: dict[str, Any]) -> Answer:
    """Answer any request with all of its facts, through its tool if it has one."""
    lines = re.findall(r"^- (.+?): (.+)$", request["messages"][-1]["content"][0]["text"].split("</facts>")[0], re.M)
    prose = " ".join(f"The {name} is {value}." for name, value in lines)
    if "toolConfig" not in request:
        return said(prose)
    values = [value for _, value in lines]
    parts = {"title": values[0], "bullet_points": values[:6], "keywords": values[:10], "language": "en-GB"}
    return handed_over({**parts, "description": prose})


def product(product_id: str, drop_id: str = DROP, **columns: Any) -> dict[str, Any]:
    """A row of ``catalog.products``."""
    row = dict.fromkeys(PRODUCTS.names) | {
        "drop_id": drop_id,
        "product_id": product_id,
        "display_name": f"Shirt {product_id}",
        "article_type": "Shirts",
        "gender": "Men",
        "base_colour": "Blue",
        "usage": "Casual",
        "season": "NA",
        "attributes": {"baseColour": "Blue", "Fabric": "Cotton"},
        "picture_uri": f"s3://lookbook/drops/{drop_id}/images/{product_id}.jpg",
        "picture_sha256": f"sha-of-{product_id}",
    }
    row |= columns
    return row | {"attributes": list(row["attributes"].items())}


def publish_products(*rows: dict[str, Any], drop_id: str = DROP) -> str:
    """Put rows into ``catalog.products`` in place of the drop's."""
    return tables.replace(
        "catalog.products", pa.Table.from_pylist(list(rows), schema=PRODUCTS), tables.equals("drop_id", drop_id)
    )


def publish_answers(
    *answers: tuple[str, str, str, float],
    version: str = "v3",
    drop_id: str = DROP,
    picture_sha256: str | None = None,
    **columns: Any,
) -> str:
    """Put (product, attribute, value, probability) rows into ``predictions.attributes``."""
    rows = [
        dict.fromkeys(PREDICTED_ATTRIBUTES.names)
        | {
            "drop_id": drop_id,
            "product_id": product_id,
            "attribute": attribute,
            "value": value,
            "probability": probability,
            "picture_sha256": picture_sha256 or f"sha-of-{product_id}",
            "result_uri": "s3://lookbook/predictions/x.json",
            "model_version": version,
            "endpoint_config": f"config-{version}",
        }
        | columns
        for product_id, attribute, value, probability in answers
    ]
    table = pa.Table.from_pylist(rows, schema=PREDICTED_ATTRIBUTES)
    return tables.replace("predictions.attributes", table, tables.equals("drop_id", drop_id))


def work_item(product_id: str = "38642", prompt: str = PROSE, **facts: str) -> WorkItem:
    """A work item with the given facts (a shirt, if none are given)."""
    stated = facts or {"Article Type": "Shirts", "baseColour": "Blue", "Fabric": "Cotton"}
    merged = Facts(tuple(Fact(name.replace("_", " "), value) for name, value in stated.items()))
    version, model = load(prompt), get_settings().text_model_id
    return WorkItem(
        drop_id=DROP,
        product_id=product_id,
        label=f"{product_id} Blue Shirt",
        facts=merged,
        input_hash=input_hash(product_id, merged, version, model, "abc"),
        prompt_version=version.version,
        prompt_sha256=version.sha256,
        text_model_id=model,
        attribute_model_version=None,
        endpoint_config=None,
        products_snapshot="1",
        picture_uri="s3://lookbook/drops/x.jpg",
        picture_sha256="abc",
    )


def planned_items(drop_id: str = DROP, redrive: Redrive = "none", run_key: str = "run") -> list[WorkItem]:
    """What a run plans for a drop, facts from the catalogue alone."""
    plan = planning.plan_products(drop_id, [], run_key, redrive)
    shards = planning.plan_shards(plan.uri, {"model_version": None})
    return [item for shard in shards.shards for item in plans.read_items(shard.uri)]


def describe_all(status: Status, *items: WorkItem, **columns: Any) -> None:
    """Put outcomes into ``descriptions.descriptions`` in place of their products'."""
    rows = pa.Table.from_pylist([Result(item, status).row() | columns for item in items], schema=DESCRIPTIONS)
    ids = tables.one_of("product_id", [item.product_id for item in items])
    tables.replace("descriptions.descriptions", rows, And(tables.equals("drop_id", items[0].drop_id), ids))
