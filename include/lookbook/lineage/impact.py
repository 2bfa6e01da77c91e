"""What did this go into? From a drop, a picture or a model forward to everything that was made with it.

Read from the tables as they are now: what a later run replaced no longer counts. A link's ``sources`` lead forward
here: what was made of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pyiceberg.expressions import BooleanExpression

from lookbook.catalog import tables
from lookbook.errors import PermanentError
from lookbook.lineage.chain import Link, printed
from lookbook.training import registry

_DESCRIPTIONS = "descriptions.descriptions"


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


def of_model(version: str) -> Impact:
    """Return what the answers of a model went into.

    Args:
        version: as the registry calls it: ``v3``.

    Raises:
        PermanentError: the registry has no such model.
    """
    arn = registry.package_of(version)
    if arn is None:
        raise PermanentError(f"The registry has no model {version}. `v<number>`, as the rows of descriptions name it.")
    return _impact(_model(arn), _described(tables.equals("attribute_model_version", version)))


def of_drop(drop_id: str) -> Impact:
    """Return what a drop's products went into: descriptions, data sets, and through them models and their answers.

    Raises:
        PermanentError: the catalogue has no product of the drop, nor ever described one.
    """
    of_drop = tables.equals("drop_id", drop_id)
    products = len(tables.read("catalog.products", of_drop, ("product_id",)))
    own = _described(of_drop)
    if not products and not own:
        raise PermanentError(f"The catalogue knows no drop {drop_id}. A drop is named by its Monday: 2026-11-16.")
    models, used = _trained_with(of_drop)
    root = Link(
        kind="drop",
        name=drop_id,
        details={"products": products},
        problem=None if products else "the catalogue has none of its products any more",
        sources=(*models, *_answers(of_drop), *_descriptions(own)),
    )
    return _impact(root, own + used)


def of_picture(product_id: str) -> Impact:
    """Return what the picture of a product's newest row went into.

    Raises:
        PermanentError: the catalogue has no such product, or it has no picture.
    """
    of_product = tables.equals("product_id", product_id)
    rows = tables.read("catalog.products", of_product, ("drop_id", "picture_uri", "picture_sha256")).to_pylist()
    newest = max(rows, key=lambda row: row["drop_id"], default=None)
    if newest is None or newest["picture_sha256"] is None:
        raise PermanentError(f"The catalogue has no picture of a product {product_id}.")
    of_picture = tables.equals("picture_sha256", newest["picture_sha256"])
    models, used = _trained_with(of_picture)
    own = _described(of_picture)
    root = Link(
        kind="picture",
        name=newest["picture_uri"],
        version=f"sha256 {newest['picture_sha256']}",
        sources=(*models, *_answers(of_picture), *_descriptions(own)),
    )
    return _impact(root, own + used)


def _impact(root: Link, described: Sequence[Mapping[str, Any]]) -> Impact:
    published = {(row["drop_id"], row["product_id"]) for row in described if row["status"] == "published"}
    return Impact(root, tuple(sorted({drop for drop, _ in published})), len(published))


def _model(arn: str) -> Link:
    version = registry.version_of(arn)
    package, of_model = registry.describe(arn), tables.equals("model_version", version)
    return Link(
        kind="model package",
        name=f"{package['ModelPackageGroupName']} {version}",
        version=arn,
        details={"approval": package["ModelApprovalStatus"]},
        sources=(*_answers(of_model), *_descriptions(_described(tables.equals("attribute_model_version", version)))),
    )


def _trained_with(rows: BooleanExpression) -> tuple[tuple[Link, ...], list[dict[str, Any]]]:
    """Return the data sets with pairs made of ``rows``, each with the models trained on it, and their descriptions."""
    pairs = Counter(tables.read("training.vqa_pairs", rows, ("dataset_id",))["dataset_id"].to_pylist())
    trained = _packages_by_dataset() if pairs else {}
    links, used = [], []
    for dataset_id in sorted(pairs):
        arns = trained.get(dataset_id, ())
        models = tuple(_model(arn) for arn in arns)
        links.append(Link("data set", dataset_id, details={"pairs of it": pairs[dataset_id]}, sources=models))
        for arn in arns:
            used += _described(tables.equals("attribute_model_version", registry.version_of(arn)))
    return tuple(links), used


def _packages_by_dataset() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for arn in registry.all_packages():
        dataset_id = registry.describe(arn).get("CustomerMetadataProperties", {}).get("dataset_id")
        if dataset_id:
            found[dataset_id].append(arn)
    return found


def _answers(rows: BooleanExpression) -> Iterable[Link]:
    """Yield the model answers among ``rows``, by model and drop."""
    columns = ("drop_id", "product_id", "model_version")
    found = tables.read("predictions.attributes", rows, columns).group_by(["model_version", "drop_id"])
    counted = found.aggregate([("product_id", "count_distinct"), ("product_id", "count")]).to_pylist()
    for row in sorted(counted, key=lambda row: (row["model_version"], row["drop_id"])):
        yield Link(
            kind="attribute predictions",
            name=f"model {row['model_version']}, drop {row['drop_id']}",
            details={"products": row["product_id_count_distinct"], "answers": row["product_id_count"]},
        )


def _described(rows: BooleanExpression) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables.read(_DESCRIPTIONS, rows, ("drop_id", "product_id", "status")).to_pylist()
    return found


def _descriptions(rows: Iterable[Mapping[str, Any]]) -> Iterable[Link]:
    by_drop: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_drop[row["drop_id"]][row["status"]] += 1
    for drop_id in sorted(by_drop):
        yield Link("descriptions", f"drop {drop_id}", details=dict(sorted(by_drop[drop_id].items())))
