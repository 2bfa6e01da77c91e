"""What the tasks of one run hand each other through S3: the plan, the shards' work items, and where they lie.

plans/<run>/plan.json            which products, at which version of the catalogue
plans/<run>/shards.json          what is to be done, cut into shards, and what needn't be
plans/<run>/items/<shard>.json   the work items of one shard
plans/<run>/results/<shard>.json their outcomes
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import orjson

from lookbook import storage
from lookbook.descriptions.facts import Facts
from lookbook.descriptions.prompts import Prompt
from lookbook.lineage import records
from lookbook.settings import get_settings

Redrive = Literal["none", "failed", "withheld", "both"]


@dataclass(frozen=True)
class PlannedProduct:
    """A product of a plan, with what the attribute model needs of it."""

    product_id: str
    article_type: str | None
    picture_uri: str | None
    picture_sha256: str | None


@dataclass(frozen=True)
class Plan:
    """The products that a run is about, as the catalogue had them at ``products_snapshot``."""

    uri: str
    drop_id: str
    run_key: str
    products_snapshot: str
    products: tuple[PlannedProduct, ...]
    redrive: Redrive = "none"
    """Why: ``none`` unless the products' descriptions failed, were withheld, or either (``both``)."""

    def reference(self) -> dict[str, Any]:
        """Return what the next tasks need to find the plan."""
        return {
            "uri": self.uri,
            "drop_id": self.drop_id,
            "products": len(self.products),
            "products_snapshot": self.products_snapshot,
        }

    @property
    def root(self) -> str:
        """The prefix of everything of this run, without a slash at its end."""
        return self.uri.rpartition("/")[0]


@dataclass(frozen=True)
class WorkItem:
    """All that is needed to write one product's description and to trace it afterwards."""

    drop_id: str
    product_id: str
    label: str
    facts: Facts
    input_hash: str
    prompt_version: str
    prompt_sha256: str
    text_model_id: str
    attribute_model_version: str | None
    endpoint_config: str | None
    products_snapshot: str
    picture_uri: str | None
    picture_sha256: str | None
    language: str = "en-GB"
    attempt: int = 0
    """How often the product was driven again with the same input; it makes another input of it."""

    @property
    def result_uri(self) -> str:
        """Where the outcome is stored, once; a function of the input alone."""
        return f"s3://{get_settings().bucket}/descriptions/{self.drop_id}/{self.input_hash}.json"

    def as_dict(self) -> dict[str, Any]:
        """Return the item as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> WorkItem:
        """Return the item that :meth:`as_dict` stored."""
        return cls(**{**stored, "facts": Facts.from_dict(stored["facts"])})


@dataclass(frozen=True)
class Shard:
    """A group of work items that one mapped task does; ``label`` names the task in the UI.

    ``share`` is the part of the account's quota that is the task's, above 0, at most 1: what is left to each when all
    that run side by side take the same.
    """

    uri: str
    label: str
    count: int
    share: float = 1.0


@dataclass(frozen=True)
class ShardPlan:
    """The work of a run: shards to do, and the products whose published description is still right."""

    drop_id: str
    mode: str
    attribute_model_version: str | None
    shards: tuple[Shard, ...]
    unchanged: tuple[str, ...]
    estimate: Mapping[str, Any] | None = None
    """What the work is expected to take, as :class:`lookbook.descriptions.estimate.Estimate` values."""

    def references(self) -> list[dict[str, Any]]:
        """Return one small dict a mapped task: ``uri``, ``label``, ``count`` and ``share``."""
        return [asdict(shard) for shard in self.shards]

    def summary(self) -> dict[str, Any]:
        """Return counts: products to describe, unchanged ones, mode."""
        return {
            "mode": self.mode,
            "shards": len(self.shards),
            "to_describe": sum(shard.count for shard in self.shards),
            "unchanged": len(self.unchanged),
            "attribute_model_version": self.attribute_model_version,
        }


def statuses_of(redrive: Redrive) -> tuple[str, ...]:
    """Return the statuses whose descriptions are driven again."""
    return {"none": (), "failed": ("failed",), "withheld": ("withheld",), "both": ("failed", "withheld")}[redrive]


def input_hash(
    product_id: str,
    facts: Facts,
    prompt: Prompt,
    text_model_id: str,
    picture_sha256: str | None,
    attempt: int = 0,
) -> str:
    """Return the checksum of everything that decides a product's description.

    A fact's probability is not part of it: a retrained model that gives the same answers changes no description.
    Settings that are off are not part of it either: an input is the same as before there was such a setting.
    """
    settings = get_settings()
    stated = [(fact.attribute, fact.value, fact.source) for fact in facts.facts]
    decisive: list[Any] = [product_id, stated, prompt.sha256, prompt.language, text_model_id, picture_sha256]
    if settings.guardrail_id:
        decisive.append(["guardrail", settings.guardrail_id, settings.guardrail_version])
    if settings.description_picture:
        decisive.append(["picture shown"])
    if attempt:
        decisive.append(["attempt", attempt])
    return hashlib.sha256(orjson.dumps(decisive)).hexdigest()


def root_of(run_key: str) -> str:
    """Return the S3 prefix of a run, without a slash at its end; ``run_key`` is Airflow's run id."""
    return f"s3://{get_settings().bucket}/plans/{storage.key_part(run_key)}"


def read_plan(uri: str) -> Plan:
    """Return the plan stored at ``uri``."""
    stored = _read(uri)
    products = tuple(PlannedProduct(**product) for product in stored.pop("products"))
    return Plan(uri=uri, products=products, **stored)


def write_plan(plan: Plan) -> storage.StoredObject:
    """Store a plan at its URI."""
    content = asdict(plan)
    del content["uri"]
    return storage.write_json(plan.uri, content)


def read_shards(root: str) -> ShardPlan:
    """Return the shards of the run whose prefix is ``root``."""
    stored = _read(f"{root}/shards.json")
    shards = tuple(Shard(**shard) for shard in stored.pop("shards"))
    return ShardPlan(shards=shards, **{**stored, "unchanged": tuple(stored["unchanged"])})


def write_shards(root: str, shards: ShardPlan) -> storage.StoredObject:
    """Store the run's shards."""
    return storage.write_json(f"{root}/shards.json", {f.name: getattr(shards, f.name) for f in fields(shards)})


def read_items(uri: str) -> list[WorkItem]:
    """Return the work items of the shard stored at ``uri``."""
    return [WorkItem.from_dict(item) for item in _read(uri)["items"]]


def write_items(uri: str, items: Iterable[WorkItem]) -> storage.StoredObject:
    """Store a shard's work items."""
    return write_encoded_items(uri, [encoded(item) for item in items])


def encoded(item: WorkItem) -> bytes:
    """Return a work item as it is stored: a fraction of the memory that it takes as an object."""
    return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)


def write_encoded_items(uri: str, items: Iterable[bytes]) -> storage.StoredObject:
    """Store a shard's work items, each as :func:`encoded` returned it."""
    return storage.write_bytes(uri, b'{"items":[\n' + b",\n".join(items) + b"\n]}\n", "application/json")


def result_uri_of(shard_uri: str) -> str:
    """Return where the outcomes of the shard at ``shard_uri`` are stored."""
    root, _, name = shard_uri.rpartition("/items/")
    return f"{root}/results/{name}"


def _read(uri: str) -> Any:
    """Return a stored JSON value, which is reported as an input of the current task."""
    return orjson.loads(records.read_object(uri))
