"""What did this go into? From a drop, a picture or a model forward to everything that was made with it.

Read from the tables as they are now: what a later run replaced no longer counts. A link's ``sources`` lead forward
here: what was made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import AlwaysFalse, And, BooleanExpression, Or

from lookbook.catalog import tables
from lookbook.catalog.views import View
from lookbook.errors import PermanentError
from lookbook.lineage.chain import Link, printed
from lookbook.lineage.together import Together
from lookbook.training import registry

Package = Mapping[str, Any]

_PRODUCTS, _PAIRS = "catalog.products", "training.vqa_pairs"
_ANSWERS, _DESCRIPTIONS = "predictions.attributes", "descriptions.descriptions"
_NAMED = 10  # products of a drop that are named


@dataclass(frozen=True)
class Impact:
    """All that something went into, and the drops whose published descriptions would have to be written anew."""

    root: Link
    drops: tuple[str, ...]
    published: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    def text(self) -> str:
        """Return it as a tree to read, and what to do if the thing was wrong."""
        if not self.published:
            return printed(self.root, ["No published description depends on it."])
        return printed(
            self.root,
            [f"{self.published} published descriptions depend on it, in drops: {', '.join(self.drops)}"],
        )


@dataclass(frozen=True)
class _Thing:
    """What is asked about: rows that were made of it have ``value`` in ``column``, in whichever table."""

    column: str
    value: str

    def rows(self) -> BooleanExpression:
        return tables.equals(self.column, self.value)

    def of(self, rows: pa.Table) -> pa.Table:
        return rows.filter(pc.equal(rows[self.column], self.value))


@dataclass(frozen=True)
class _Made:
    """Data sets with pairs of a thing, the packages of models trained on each, and the rows made of it or by those."""

    of: _Thing
    pairs: Mapping[str, int]
    packages: Mapping[str, Sequence[Package]]
    answers: pa.Table
    descriptions: pa.Table

    def links(self) -> Iterator[Link]:
        """Yield what the thing went into: data sets with their models, its own answers, its own descriptions."""
        for dataset_id, count in sorted(self.pairs.items()):
            models = [_model(package, self.answers, self.descriptions) for package in self.packages.get(dataset_id, ())]
            yield Link("data set", dataset_id, details={"pairs of it": count}, sources=tuple(models))
        yield from _answer_links(self.of.of(self.answers))
        yield from _description_links(self.of.of(self.descriptions))


def of_model(version: str) -> Impact:
    """Return what the answers of a model went into.

    Args:
        version: as the registry calls it: ``v3``.

    Raises:
        PermanentError: the registry has no such model.
    """
    package = registry.package(version)
    if package is None:
        raise PermanentError(f"The registry has no model {version}. `v<number>`, as the rows of descriptions name it.")
    with Together() as together:
        answers = together.start(_answers, AlwaysFalse(), (version,))
        descriptions = _descriptions(AlwaysFalse(), (version,))
        return _impact(_model(package, answers.result(), descriptions), descriptions)


def of_drop(drop_id: str) -> Impact:
    """Return what a drop's products went into: descriptions, data sets, and through them models and their answers.

    Raises:
        PermanentError: the catalogue has no product of the drop, nor ever described one.
    """
    with Together() as together:
        of_drop = _Thing("drop_id", drop_id)
        counting = together.start(lambda: len(View(_PRODUCTS).rows(of_drop.rows(), ("drop_id",))))
        made, products = _made(of_drop, together), counting.result()
    if not products and not len(of_drop.of(made.descriptions)):
        raise PermanentError(f"The catalogue knows no drop {drop_id}. A drop is named by its Monday: 2026-11-16.")
    root = Link(
        kind="drop",
        name=drop_id,
        details={"products": products},
        problem=None if products else "the catalogue has none of its products any more",
        sources=tuple(made.links()),
    )
    return _impact(root, made.descriptions)


def of_picture(product_id: str) -> Impact:
    """Return what the picture of a product's newest row went into, as the picture of other products and drops too.

    Raises:
        PermanentError: the catalogue has no such product, or it has no picture.
    """
    uri, sha256 = picture_of(product_id)
    with Together() as together:
        of_picture = _Thing("picture_sha256", sha256)
        using = together.start(lambda: View(_PRODUCTS).rows(of_picture.rows(), ("drop_id", "product_id")))
        made = _made(of_picture, together)
        links = (*_product_links(using.result()), *made.links())
    return _impact(Link("picture", uri, version=f"sha256 {sha256}", sources=links), made.descriptions)


def picture_of(product_id: str) -> tuple[str, str]:
    """Return URI and SHA-256 of the picture of a product's newest row.

    Raises:
        PermanentError: the catalogue has no such product, or it has no picture.
    """
    view = View(_PRODUCTS)
    for drop_id in view.partitions_with("product_id", product_id)[-1:]:
        of_product = And(tables.equals("drop_id", drop_id), tables.equals("product_id", product_id))
        for row in view.rows(of_product, ("picture_uri", "picture_sha256")).to_pylist():
            if row["picture_sha256"] is not None:
                return row["picture_uri"], row["picture_sha256"]
    raise PermanentError(f"The catalogue has no picture of a product {product_id}.")


def _made(of: _Thing, together: Together) -> _Made:
    counted = View(_PAIRS).rows(of.rows(), ("dataset_id",))["dataset_id"].value_counts().to_pylist()
    pairs = {entry["values"]: entry["counts"] for entry in counted}
    packages = _packages_of(pairs, together)
    versions = [_version(package) for found in packages.values() for package in found]
    answers = together.start(_answers, of.rows(), versions, of.column)
    return _Made(of, pairs, packages, answers.result(), _descriptions(of.rows(), versions, of.column))


def _packages_of(dataset_ids: Collection[str], together: Together) -> dict[str, list[Package]]:
    """Return the packages of the models that were trained on any of the data sets, by data set."""
    asked = [together.start(registry.describe, arn) for arn in registry.all_packages()] if dataset_ids else []
    found: dict[str, list[Package]] = defaultdict(list)
    for package in (one.result() for one in asked):
        dataset_id = package.get("CustomerMetadataProperties", {}).get("dataset_id")
        if dataset_id in dataset_ids:
            found[dataset_id].append(package)
    return found


def _answers(own: BooleanExpression, versions: Collection[str], *columns: str) -> pa.Table:
    """Return the answers among ``own`` rows, and those of some models."""
    told = ("drop_id", "product_id", "model_version", "endpoint_config", *columns)
    return View(_ANSWERS).rows(Or(own, tables.one_of("model_version", versions)), told)


def _descriptions(own: BooleanExpression, versions: Collection[str], *columns: str) -> pa.Table:
    """Return the descriptions among ``own`` rows, and those in which answers of some models were used."""
    told = ("drop_id", "product_id", "status", "attribute_model_version", *columns)
    return View(_DESCRIPTIONS).rows(Or(own, tables.one_of("attribute_model_version", versions)), told)


def _impact(root: Link, described: pa.Table) -> Impact:
    published = described.filter(pc.equal(described["status"], "published"))
    products = published.group_by(["drop_id", "product_id"]).aggregate([])
    return Impact(root, tuple(sorted(pc.unique(products["drop_id"]).to_pylist())), len(products))


def _model(package: Package, answers: pa.Table, descriptions: pa.Table) -> Link:
    version = _version(package)
    answered = answers.filter(pc.equal(answers["model_version"], version))
    written = descriptions.filter(pc.equal(descriptions["attribute_model_version"], version))
    return Link(
        kind="model package",
        name=f"{package['ModelPackageGroupName']} {version}",
        version=package["ModelPackageArn"],
        details={"approval": package["ModelApprovalStatus"]},
        sources=(*_endpoint_links(answered), *_answer_links(answered), *_description_links(written)),
    )


def _version(package: Package) -> str:
    return registry.version_of(package["ModelPackageArn"])


def _endpoint_links(answers: pa.Table) -> Iterator[Link]:
    """Yield the endpoint configs behind which answers that are still there were given."""
    for config in sorted(filter(None, pc.unique(answers["endpoint_config"]).to_pylist())):
        yield Link("endpoint config", config)


def _answer_links(answers: pa.Table) -> Iterator[Link]:
    """Yield model answers, by model and drop."""
    counts = [("product_id", "count_distinct"), ("product_id", "count")]
    counted = answers.group_by(["model_version", "drop_id"]).aggregate(counts).to_pylist()
    for row in sorted(counted, key=lambda row: (row["model_version"], row["drop_id"])):
        yield Link(
            kind="attribute predictions",
            name=f"model {row['model_version']}, drop {row['drop_id']}",
            details={"products": row["product_id_count_distinct"], "answers": row["product_id_count"]},
        )


def _description_links(descriptions: pa.Table) -> Iterator[Link]:
    """Yield descriptions, by drop and status."""
    counted = descriptions.group_by(["drop_id", "status"]).aggregate([("product_id", "count")]).to_pylist()
    by_drop: dict[str, dict[str, int]] = defaultdict(dict)
    for row in counted:
        by_drop[row["drop_id"]][row["status"]] = row["product_id_count"]
    for drop_id, statuses in sorted(by_drop.items()):
        yield Link("descriptions", f"drop {drop_id}", details=dict(sorted(statuses.items())))


def _product_links(products: pa.Table) -> Iterator[Link]:
    """Yield the products that have a picture, by drop; of many, the first are named."""
    by_drop: dict[str, list[str]] = defaultdict(list)
    for row in products.to_pylist():
        by_drop[row["drop_id"]].append(row["product_id"])
    for drop_id, ids in sorted(by_drop.items()):
        named = ", ".join(sorted(ids)[:_NAMED]) + (" …" if len(ids) > _NAMED else "")
        yield Link("products", f"drop {drop_id}", details={"products": len(ids), "ids": named})
