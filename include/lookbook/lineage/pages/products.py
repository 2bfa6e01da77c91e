"""The page of one product: what it is, what was said about it, and where every part of that came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyiceberg.expressions import And

from lookbook.catalog import tables
from lookbook.catalog.views import View
from lookbook.errors import PermanentError
from lookbook.lineage import impact, queries
from lookbook.lineage.chain import Chain, Link
from lookbook.lineage.pages import drops, graph
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
    """A drop that has or had the product, and the status of its description there, or why it has none."""

    drop_id: str
    status: str


@dataclass(frozen=True)
class Way:
    """Where a link of the chain can be looked at; ``outside`` Lookbook's own pages, or inside them."""

    text: str
    href: str
    outside: bool = False


@dataclass(frozen=True)
class Product:
    """A product in one drop. ``row`` is empty where the catalogue doesn't have it, ``description`` where nobody asked.

    ``seen`` are all its drops, the newest first; ``quarantined`` are the drop's rows with its id that were refused.
    """

    product_id: str
    drop_id: str
    seen: tuple[Seen, ...]
    row: Row
    description: Row
    attributes: tuple[Attribute, ...]
    chain: Chain | None
    quarantined: tuple[Row, ...] = ()

    @property
    def name(self) -> str:
        """What the catalogue calls it, or why it calls it nothing."""
        absent = "not in the catalogue any more" if self.description else "in quarantine"
        return self.row.get("display_name") or ("without a name" if self.row else absent)


def render_product(links: Links, product_id: str, drop_id: str | None = None) -> str:
    """Return the page of a product as HTML.

    Args:
        links: where links lead.
        product_id: the product.
        drop_id: in which drop; none means the newest in which it was described, or else that has it.

    Raises:
        PageNotFoundError: neither catalogue, descriptions nor quarantine have it, in that drop if one is named.
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


def render_impact(links: Links, product_id: str) -> str:
    """Return the page of what the picture of a product went into as HTML.

    Raises:
        PageNotFoundError: the catalogue has no such product, or no picture of it.
    """
    try:
        found = impact.of_picture(product_id)
    except PermanentError as unknown:
        raise PageNotFoundError(str(unknown)) from unknown
    crumbs = [Crumb(f"Product {product_id}", links.product(product_id))]
    return drops.render_dependents("picture", product_id, found, links, crumbs)


def find(product_id: str, drop_id: str | None = None) -> Product:
    """Return all that is known of a product in one drop; see :func:`render_product`."""
    rows, described = _by_drop("catalog.products", product_id), _by_drop("descriptions.descriptions", product_id)
    refused = _by_drop("catalog.quarantine", product_id)
    chosen = drop_id or max(described or rows or refused, default=None)
    if chosen is None or not (chosen in rows or chosen in described or chosen in refused):
        raise PageNotFoundError(f"{f'Drop {drop_id}' if drop_id else 'The catalogue'} has no product {product_id}.")
    row, description = (found.get(chosen, [{}])[0] for found in (rows, described))
    drops = sorted({*rows, *described, *refused}, reverse=True)
    return Product(
        product_id,
        chosen,
        tuple(Seen(one, _status(one, rows, described)) for one in drops),
        row,
        description,
        tuple(_attributes(row, description, _answers(chosen, product_id, description))),
        queries.chain(product_id, chosen) if description else None,
        tuple(refused.get(chosen, ())),
    )


def _by_drop(table: str, product_id: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in View(table).rows(tables.equals("product_id", product_id)).to_pylist():
        found.setdefault(row["drop_id"], []).append(row)
    return found


def _status(drop_id: str, rows: Mapping[str, Any], described: Mapping[str, list[Row]]) -> str:
    if drop_id in described:
        return str(described[drop_id][0]["status"])
    return "not described" if drop_id in rows else "quarantined"


def _answers(drop_id: str, product_id: str, description: Row) -> list[Row]:
    """Return the model's answers; of the model that the description used, once there is one."""
    of_product = And(tables.equals("drop_id", drop_id), tables.equals("product_id", product_id))
    found: list[Row] = View("predictions.attributes").rows(of_product).to_pylist()
    version = description.get("attribute_model_version")
    return [row for row in found if row["model_version"] == version] if description else found


def _attributes(row: Row, description: Row, answers: Sequence[Row]) -> Iterator[Attribute]:
    """Yield the attributes that somebody stated something about: those of the description first, as it has them."""
    facts = {fact["attribute"]: fact for fact in description.get("facts") or ()}
    # Some facts (brand, season …) are columns of the catalogue and none of its attributes.
    stated = {name: fact["value"] for name, fact in facts.items() if fact["source"] == "catalogue"}
    catalogue = stated | dict(row.get("attributes") or ())
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
