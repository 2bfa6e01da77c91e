"""The findings of a drop as a page to act on: which attributes, which pairs of values, which products.

Everything shown comes from a drop or from a model, so everything is escaped; the page runs no script.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

import pyarrow as pa
import pyarrow.compute as pc

from lookbook.catalog import tables
from lookbook.catalog.schemas import FINDINGS
from lookbook.descriptions.findings import TABLE
from lookbook.housekeeping import pages
from lookbook.spreadsheets import as_csv

ROWS = 50  # products on one page: each shows its picture
_PAIRS = 20  # most frequent disagreements
_INTRO = (
    "The model is sure (its probability reaches the attribute's threshold) of another value than the catalogue states. "
    "Descriptions state the catalogue's. Where the catalogue is wrong, mend the drop and ingest it again; where the "
    "model is, its next training needs more such products."
)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Chosen:
    """Which findings of a drop are looked at; ``page`` counts from one."""

    attribute: str | None = None
    catalogue_value: str | None = None
    model_value: str | None = None
    page: int = 1

    def query(self, **changed: Any) -> str:
        """Return it, some of it changed, as the query of a link."""
        asked = {name: value for name, value in (asdict(self) | changed).items() if value is not None}
        return "?" + urlencode(asked)

    def of(self, found: pa.Table) -> pa.Table:
        """Return the findings that are meant, by attribute, the surest first."""
        for column in ("attribute", "catalogue_value", "model_value"):
            if (value := getattr(self, column)) is not None:
                found = found.filter(pc.equal(found[column], value))
        return found.sort_by([("attribute", "ascending"), ("probability", "descending"), ("product_id", "ascending")])


def overview() -> str:
    """Return the page of all drops that have findings, the newest first."""
    found = tables.read(TABLE, columns=("drop_id", "attribute"))
    by_drop: defaultdict[str, list[str]] = defaultdict(list)
    for drop_id, attribute in zip(found["drop_id"].to_pylist(), found["attribute"].to_pylist(), strict=True):
        by_drop[drop_id].append(attribute)
    rows = [
        [_link(f"findings/{quote(drop_id)}", drop_id), len(attributes), _frequent(attributes)]
        for drop_id, attributes in sorted(by_drop.items(), reverse=True)
    ]
    return pages.page("Findings", _INTRO, [_table("Drops", ("drop", "findings", "attributes"), rows)])


def of_drop(drop_id: str, chosen: Chosen) -> str:
    """Return the page of one drop: counts by attribute, the most frequent disagreements, and the products."""
    found = tables.read(TABLE, tables.equals("drop_id", drop_id))
    meant = chosen.of(found)
    rows = meant.slice((chosen.page - 1) * ROWS, ROWS).to_pylist()
    parts = [
        _ways_out(drop_id, chosen),
        _attributes(drop_id, found),
        _pairs(drop_id, meant),
        _products(drop_id, rows),
        _more(drop_id, len(meant), chosen),
        pages.note("Where a product's description came from: make lineage PRODUCT=<id>"),
    ]
    products = len(set(found["product_id"].to_pylist()))
    return pages.page(f"Findings of drop {drop_id}", f"{len(found)} findings of {products} products. {_INTRO}", parts)


def download(drop_id: str, chosen: Chosen) -> bytes:
    """Return the findings of a drop that are meant as CSV, with every column of the table."""
    found = chosen.of(tables.read(TABLE, tables.equals("drop_id", drop_id)))
    return as_csv(FINDINGS.names, found.to_pylist())


def _ways_out(drop_id: str, chosen: Chosen) -> str:
    here = quote(drop_id)
    links = [
        _link("../findings", "All drops"),
        _link(here, "All of this drop"),
        _link(f"{here}/findings.csv{chosen.query(page=None)}", "These as CSV"),
        _link(f"../data-docs/{here}/index.html", "Data Docs of the drop"),
    ]
    return f"<p>{' · '.join(links)}</p>"


def _attributes(drop_id: str, found: pa.Table) -> str:
    rows = [
        [_link(quote(drop_id) + Chosen(attribute).query(), attribute), number]
        for attribute, number in Counter(found["attribute"].to_pylist()).most_common()
    ]
    return _table("By attribute", ("attribute", "findings"), rows)


def _pairs(drop_id: str, meant: pa.Table) -> str:
    pairs = meant.group_by(["attribute", "catalogue_value", "model_value"]).aggregate(
        [("product_id", "count"), ("probability", "mean")]
    )
    most = pairs.sort_by([("product_id_count", "descending"), ("attribute", "ascending")]).slice(0, _PAIRS)
    rows = [
        [
            escape(pair["attribute"]),
            escape(pair["catalogue_value"]),
            escape(pair["model_value"]),
            _link(
                quote(drop_id) + Chosen(pair["attribute"], pair["catalogue_value"], pair["model_value"]).query(),
                str(pair["product_id_count"]),
            ),
            f"{pair['probability_mean']:.2f}",
        ]
        for pair in most.to_pylist()
    ]
    header = ("attribute", "catalogue", "model", "findings", "mean probability")
    return _table(f"Most frequent disagreements (at most {_PAIRS})", header, rows)


def _products(drop_id: str, rows: Sequence[Row]) -> str:
    header = ("picture", "product", "attribute", "catalogue", "model", "probability", "first seen")
    return _table("Products", header, [_product(drop_id, row) for row in rows])


def _product(drop_id: str, row: Row) -> list[object]:
    picture = f"../pictures/{quote(drop_id)}/{quote(row['product_id'])}"
    run = f"../../dags/describe_products/runs/{quote(row['first_seen_run'] or '', safe='')}"
    return [
        f'<a href="{escape(picture)}"><img src="{escape(picture)}" alt="" loading="lazy" height="120"></a>',
        f"{escape(row['product_id'])}<br>{escape(row['article_type'] or '')}",
        escape(row["attribute"]),
        escape(row["catalogue_value"]),
        f"{escape(row['model_value'])}<br>{escape(row['model_version'] or '')}",
        f"{row['probability']:.2f} (≥ {row['threshold'] or 0:.2f})",
        _link(run, row["first_seen_run"] or ""),
    ]


def _more(drop_id: str, number: int, chosen: Chosen) -> str:
    last = max(1, -(-number // ROWS))
    steps = [(chosen.page - 1, "Previous"), (chosen.page + 1, "Next")]
    links = [_link(quote(drop_id) + chosen.query(page=to), text) for to, text in steps if 1 <= to <= last]
    return f"<p>Page {chosen.page} of {last} {' · '.join(links)}</p>"


def _frequent(attributes: Sequence[str]) -> str:
    return escape(", ".join(f"{attribute} {number}" for attribute, number in Counter(attributes).most_common(5)))


def _link(path: str, text: str) -> str:
    return f'<a href="{escape(path)}">{escape(text)}</a>'


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a titled table of cells that are HTML already."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    empty = "" if rows else pages.note("nothing")
    return f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{empty}"
