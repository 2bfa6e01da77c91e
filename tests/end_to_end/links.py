"""Whether the links of a chain lead to something: asked of S3, SageMaker, the repository and the tables' own lists.

Nothing here goes through ``lookbook.lineage.queries``, whose word is what is checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from laptop.places import REPOSITORY

PROMPTS = REPOSITORY / "include" / "lookbook" / "descriptions" / "prompts"
ALWAYS = {"description", "request", "prompt", "facts", "product", "validation", "row", "styles JSON", "picture"}
OF_MODEL = {"attribute predictions", "endpoint config", "model package", "training job", "data set"}
# Run in the platform: chains of the products named, all at once, and what is known of tables beside them.
CODE = """
import json, sys
from lookbook.catalog import tables
from lookbook.lineage import queries
keys = ("dag_id", "run_id", "task_id", "map_index")
print(json.dumps({
    "chains": [queries.chain(product_id).as_dict() for product_id in sys.argv[1:]],
    "snapshots": [str(one.snapshot_id) for one in tables.load("catalog.products").metadata.snapshots],
    "tasks": [list(row.values()) for row in tables.read("lineage.runs", columns=keys).to_pylist()],
}))
"""


@dataclass
class Account:
    """A platform's AWS account, and which versions of the catalogue and task instances its tables list."""

    url: str
    snapshots: set[str]
    tasks: set[tuple[Any, ...]]
    _contents: dict[str, bytes] = field(default_factory=dict)

    def broken(self, chain: dict[str, Any]) -> list[str]:
        """Say of each link of a chain, in its JSON form, that leads nowhere, why."""
        return [f"{link['kind']} {link['name']}: {why}" for link in walk(chain["root"]) for why in self._wrong(link)]

    def _wrong(self, link: dict[str, Any]) -> Iterator[str]:
        try:
            if not _CHECKS[link["kind"]](self, link):
                yield "is not what it says"
        except ClientError as error:
            yield str(error)
        for task in link["tasks"]:
            key = tuple(task[name] for name in ("dag_id", "run_id", "task_id", "map_index"))
            if key not in self.tasks:
                yield f"{key} is no task instance with a record"

    def content(self, uri: str) -> bytes:
        """What is stored under a URI."""
        if uri not in self._contents:
            parts = urlsplit(uri)
            body = _client("s3", self.url).get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"]
            self._contents[uri] = body.read()
        return self._contents[uri]

    def describe(self, what: str, **name: str) -> dict[str, Any]:
        """What SageMaker says of a thing."""
        described: dict[str, Any] = getattr(_client("sagemaker", self.url), f"describe_{what}")(**name)
        return described


@lru_cache
def _client(service: str, url: str) -> Any:
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=url, **keys)


def walk(link: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a link and all behind it."""
    yield link
    for source in link["sources"]:
        yield from walk(source)


def _description(account: Account, link: dict[str, Any]) -> bool:
    result = json.loads(account.content(link["details"]["result"]))
    requests = [source["version"] for source in link["sources"] if source["kind"] == "request"]
    return requests == [result["request_id"]] and bool(link["tasks"])


def _facts(account: Account, link: dict[str, Any]) -> bool:
    return bool(link["details"]) and all(said for said in link["details"].values())


def _prompt(account: Account, link: dict[str, Any]) -> bool:
    return (PROMPTS / link["name"]).is_dir() and bool(link["version"])


def _row(account: Account, link: dict[str, Any]) -> bool:
    uri, _, number = link["name"].rpartition(" line ")
    lines = account.content(uri).decode().replace("\r\n", "\n").split("\n")
    return "\n".join(lines[int(number) - 1 :]).startswith(link["details"]["line"].replace("\r\n", "\n"))


def _validation(account: Account, link: dict[str, Any]) -> bool:
    verdict, docs = (account.content(link["details"][name]) for name in ("verdict", "data_docs"))
    return bool(json.loads(verdict)["rows"] == link["details"]["rows"]) and b"Great Expectations" in docs


def _stored(account: Account, link: dict[str, Any]) -> bool:
    expected = str(link["version"]).removeprefix("sha256 ")
    return hashlib.sha256(account.content(link["name"])).hexdigest() == expected


_CHECKS: dict[str, Callable[[Account, dict[str, Any]], bool]] = {
    "description": _description,
    "request": lambda account, link: bool(link["version"]) and "in" in link["details"]["tokens"],
    "prompt": _prompt,
    "facts": _facts,
    "attribute predictions": lambda account, link: bool(account.content(link["version"])) and bool(link["details"]),
    "endpoint config": lambda account, link: (
        account.describe("endpoint_config", EndpointConfigName=link["name"])["EndpointConfigArn"] == link["version"]
    ),
    "model package": lambda account, link: (
        account.describe("model_package", ModelPackageName=link["version"])["ModelApprovalStatus"] == "Approved"
    ),
    "training job": lambda account, link: (
        account.describe("training_job", TrainingJobName=link["name"])["TrainingJobStatus"] == "Completed"
    ),
    "data set": lambda account, link: json.loads(account.content(link["details"]["uri"]))["dataset_id"] == link["name"],
    "product": lambda account, link: link["version"] in account.snapshots and link["tasks"] != [],
    "validation": _validation,
    "row": _row,
    "styles JSON": lambda account, link: link["version"] is None or _stored(account, link),
    "picture": _stored,
}
