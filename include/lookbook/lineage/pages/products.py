"""The page of one product: what it is, what was said about it, and where every part of that came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyiceberg.expressions import And, BooleanExpression

from lookbook.catalog import tables
from lookbook.lineage import queries
from lookbook.lineage.chain import Chain, Link
from lookbook.lineage.pages import graph
from lookbook.lineage.pages.layout import Crumb, PageNotFoundError, render
from lookbook.lineage.pages.links import Links

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Attribute:
    """One attribute of a product as the catalogue and as the model state it, and what the description said.

    ``verdict`` is a word of: agrees, differs, catalogue only, model only, unsure (below the threshold), abstained.
    """

    name: str
    catalogue: str | None
    model: str | None
    probability: float | None
    threshold: float | None
    stated: str | None
    source: str | None
    verdict: str


@dataclass(frozen=True)
class Seen:
    """A drop that holds the product; ``status`` is that of its description there, ``None`` where it has none."""

    drop_id: str
    status: str | None


@dataclass(frozen=True)
class Way:
    """Where a link of the chain can be looked at; ``outside`` Lookbook's own pages, or inside them."""

    text: str
    href: str
    outside: bool = False


@dataclass(frozen=True)
class Product:
    """A product in one drop. ``row`` is empty where the catalogue no longer has it, ``description`` where nobody asked.

    ``seen`` are all its drops, the newest first.
    """

    product_id: str
    drop_id: str
    seen: tuple[Seen, ...]
    row: Row
    description: Row
    attributes: tuple[Attribute, ...]
    chain: Chain | None

    @property
    def name(self) -> str:
        """What the catalogue calls it."""
        return self.row.get("display_name") or "not in the catalogue any more"


def render_product(links: Links, product_id: str, drop_id: str | None = None) -> str:
    """Return the page of a product as HTML.

    Args:
        links: where links lead.
        product_id: the product.
        drop_id: in which drop; none means the newest in which it was described, or else that has it.

    Raises:
        PageNotFoundError: neither the catalogue nor the descriptions have it, in that drop if one is named.
    """
    product = find(product_id, drop_id)
    steps = graph.numbered(product.chain.root) if product.chain else None
    return render(
        "product.html",
        title=f"{product_id} · {product.name}",
        active="search",
        links=links,
        crumbs=[Crumb(f"Product {product_id}")],
        product=product,
        steps=steps,
        drawing=graph.draw(steps) if steps else None,
        box=(graph.WIDTH, graph.HEIGHT),
        ways=lambda link: tuple(ways(link, product, links)),
    )


def find(product_id: str, drop_id: str | None = None) -> Product:
    """Return all that is known of a product in one drop; see :func:`render_product`."""
    of_product = tables.equals("product_id", product_id)
    rows = {row["drop_id"]: row for row in tables.read("catalog.products", of_product).to_pylist()}
    described = {row["drop_id"]: row for row in tables.read("descriptions.descriptions", of_product).to_pylist()}
    chosen = drop_id or max(described or rows, default=None)
    if chosen is None or (chosen not in rows and chosen not in described):
        where = f"Drop {drop_id} has" if drop_id else "The catalogue has"
        raise PageNotFoundError(f"{where} no product {product_id}. Its row may be in quarantine: see its drop's page.")
    description = described.get(chosen, {})
    return Product(
        product_id,
        chosen,
        tuple(Seen(one, described.get(one, {}).get("status")) for one in sorted({*rows, *described}, reverse=True)),
        rows.get(chosen, {}),
        description,
        tuple(_attributes(rows.get(chosen, {}), description, _answers(chosen, of_product, description))),
        queries.chain(product_id, chosen) if description else None,
    )


def _answers(drop_id: str, of_product: BooleanExpression, description: Row) -> list[Row]:
    """Return the model's answers; of the model that the description used, once there is one."""
    found: list[Row] = tables.read(
        "predictions.attributes", And(tables.equals("drop_id", drop_id), of_product)
    ).to_pylist()
    version = description.get("attribute_model_version")
    return [row for row in found if row["model_version"] == version] if description else found


def _attributes(row: Row, description: Row, answers: Sequence[Row]) -> Iterator[Attribute]:
    """Yield the attributes that somebody stated something about: those of the description first, as it has them."""
    catalogue = dict(row.get("attributes") or ())
    facts = {fact["attribute"]: fact for fact in description.get("facts") or ()}
    predicted = {answer["attribute"]: answer for answer in answers}
    for name in dict.fromkeys([*facts, *sorted({*catalogue, *predicted})]):
        yield _attribute(name, catalogue.get(name), predicted.get(name, {}), facts.get(name, {}))


def _attribute(name: str, catalogue: str | None, answer: Row, fact: Row) -> Attribute:
    return Attribute(
        name,
        catalogue,
        answer.get("value"),
        answer.get("probability"),
        answer.get("threshold"),
        fact.get("value"),
        fact.get("source"),
        _verdict(catalogue, answer),
    )


def _verdict(catalogue: str | None, answer: Row) -> str:
    value, threshold = answer.get("value"), answer.get("threshold")
    if value is None:
        return "abstained" if answer.get("abstained") else "catalogue only"
    if threshold is None or (answer["probability"] or 0) < threshold:
        return "unsure"
    if catalogue is None:
        return "model only"
    return "agrees" if value == catalogue else "differs"


def ways(link: Link, product: Product, links: Links) -> Iterator[Way]:
    """Yield where a link of a product's chain can be looked at."""
    if link.kind in ("product", "row"):
        yield Way("Data Docs of the drop", links.data_docs(product.drop_id))
        yield Way("drop", links.page("drops", product.drop_id))
    if link.kind == "picture" and product.row.get("picture_uri"):
        yield Way("picture", links.picture(product.drop_id, product.product_id))
    if link.kind == "facts" and product.description["differences"]:
        yield Way("findings of the drop", links.findings(product.drop_id))
    if link.kind == "model package":
        yield Way("model", links.page("models", link.name.rpartition(" ")[2]))
        if evaluated := str(link.details.get("evaluation_page", "")):
            yield Way("evaluation report", links.evaluation(evaluated.rpartition("/")[0].rpartition("/")[2]))
    things = (link.version or "", link.name.partition(" ")[0])
    if console := next((page for thing in things if (page := links.console(thing))), None):
        yield Way("AWS console", console, outside=True)
