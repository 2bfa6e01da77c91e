"""The start page: find a product by its id or its name, and what there is to look at before anything was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from lookbook.catalog import tables
from lookbook.catalog.schemas import TABLES
from lookbook.catalog.views import View
from lookbook.lineage.pages import drops
from lookbook.lineage.pages.layout import render
from lookbook.lineage.pages.links import Links

HITS = 50
LONGEST = 200  # characters of what may be asked
_PRODUCTS, _TEXTS, _QUARANTINE = "catalog.products", "descriptions.descriptions", "catalog.quarantine"
_WORDS = ("display_name", "brand", "article_type")
_STATUSES = ("published", "withheld", "failed", "stale")
_DROPS = 5


@dataclass(frozen=True)
class Hit:
    """A product in the newest drop that has it; ``status`` of its description there, ``None`` where it has none."""

    product_id: str
    drop_id: str
    display_name: str | None
    brand: str | None
    article_type: str | None
    picture: bool
    status: str | None


@dataclass(frozen=True)
class Hits:
    """The products that were asked for: the first of them, and how many there are."""

    asked: str
    number: int
    products: tuple[Hit, ...]


def search(asked: str) -> Hits:
    """Return the products whose id is what was asked for, or whose name, brand or article type hold all its words."""
    rows = _index()
    found = rows.filter(pc.equal(rows["product_id"], asked.strip()))
    if not len(found):
        found = rows
        for word in asked.lower().split():
            found = found.filter(pc.match_substring(found["text"], word))
    return Hits(asked, len(found), tuple(_hits(found.slice(0, HITS))))


def exact(asked: str) -> str | None:
    """Return the id that was asked for, if it is one that the catalogue or the quarantine has; else ``None``."""
    asked = asked.strip()
    if not asked.isascii() or not asked.isdigit():
        return None
    known = pc.any(pc.equal(_index()["product_id"], asked)).as_py()
    return asked if known or View(_QUARANTINE).partitions_with("product_id", asked) else None


def examples() -> tuple[Hit, ...]:
    """Return a product of the newest drop for each outcome that a description can have, two of those published."""
    rows = _index()
    newest = rows.filter(pc.equal(rows["drop_id"], pc.max(rows["drop_id"])))
    with_picture = newest.filter(newest["picture"])
    chosen = [
        with_picture.filter(pc.equal(with_picture["status"], status)).slice(0, 2 if status == "published" else 1)
        for status in _STATUSES
    ]
    found = pa.concat_tables(chosen)
    return tuple(_hits(found if len(found) else with_picture.slice(0, 4)))


def render_start(links: Links, asked: str = "") -> str:
    """Return the page as HTML: what was found if something was asked, else the latest drops and some products."""
    asked = " ".join(asked.split())[:LONGEST]
    return render(
        "search.html",
        title=f"Products like “{asked}”" if asked else "Where did it come from?",
        active="search",
        links=links,
        asked=asked,
        hits=search(asked) if asked else None,
        examples=() if asked else examples(),
        drops=() if asked else drops.overview()[:_DROPS],
        products=len(_index()),
        limit=HITS,
    )


def _index() -> pa.Table:
    return _products(tables.current_snapshot(_PRODUCTS), tables.current_snapshot(_TEXTS))


@lru_cache(maxsize=2)
def _products(products: str, texts: str) -> pa.Table:
    """Return every product once, of the newest drop that has it, with the text that is searched; newest drops first."""
    keys = ("drop_id", "product_id")
    rows = _read(_PRODUCTS, (*keys, *_WORDS, "picture_uri"), products)
    rows = rows.append_column("picture", pc.is_valid(rows["picture_uri"])).drop_columns(["picture_uri"])
    rows = rows.join(_read(_TEXTS, (*keys, "status"), texts), list(keys), join_type="left outer", use_threads=False)
    rows = rows.sort_by([("drop_id", "descending"), ("product_id", "ascending")])
    first = [(name, "first") for name in rows.column_names if name != "product_id"]
    newest = rows.group_by("product_id", use_threads=False).aggregate(first)
    newest = newest.rename_columns({f"{name}_first": name for name, _ in first})
    words = [pc.fill_null(newest[name], "") for name in _WORDS]
    return newest.append_column("text", pc.utf8_lower(pc.binary_join_element_wise(*words, " ")))


def _read(name: str, columns: Sequence[str], snapshot: str) -> pa.Table:
    """Read columns in the table's own types: texts come as Arrow's long ones or not, and the two can't be joined."""
    rows = tables.read(name, columns=columns, snapshot=snapshot)
    return rows.cast(pa.schema([TABLES[name].field(column).with_nullable(True) for column in rows.column_names]))


def _hits(rows: pa.Table) -> Iterator[Hit]:
    for row in rows.drop_columns(["text"]).to_pylist():
        yield Hit(**row)
