"""The branch of a chain that leads to the drop: the product's row, its validation, its line, its JSON, its picture."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from pyiceberg.expressions import And

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.views import View
from lookbook.drops import discovery
from lookbook.lineage.chain import Link, TaskInstance, stated
from lookbook.lineage.runs import Runs
from lookbook.lineage.together import Together

Row = Mapping[str, Any]

_TABLE = "catalog.products"
_COLUMNS = (
    *("drop_id", "product_id", "display_name", "line_number", "raw_line", "mending"),
    *("picture_uri", "picture_etag", "styles_json_uri", "styles_json_sha256"),
)
_INGESTING = ("read", "requeue", "validate", "publish")  # tasks of ingest_drop and requeue_drop that make a product


def product(row: Row, runs: Future[Runs], together: Together) -> Link:
    """Return the product as it was when its description was planned, with all that it was made from."""
    snapshot, drop_id = row["products_snapshot"], row["drop_id"]
    found = _found(row, View(_TABLE))
    if found is None:
        return Link("product", row["product_id"], snapshot, problem=f"{_TABLE} no longer has this version of it")
    published = together.start(_published, row, runs)
    looked_up = (
        together.start(_validation, published, runs),
        together.start(_line, found, published, runs),
        together.start(_mended_row, found),
        together.start(_styles_json, found),
        together.start(_picture, found, row),
    )
    by = published.result()
    return Link(
        kind="product",
        name=f"{_TABLE} {row['product_id']} of drop {drop_id}",
        version=snapshot,
        details=stated(name=found["display_name"]),
        tasks=runs.result().tasks_of(by.dag_id, by.run_id, *_INGESTING) if by else (),
        sources=tuple(source for one in looked_up if (source := one.result())),
    )


def _found(row: Row, view: View) -> Row | None:
    """Return the product's row at the version that the plan read, ``None`` if that has expired or lacks it."""
    if row["products_snapshot"] is not None and not view.knows(row["products_snapshot"]):
        return None
    of_product = And(tables.equals("drop_id", row["drop_id"]), tables.equals("product_id", row["product_id"]))
    rows = view.rows(of_product, _COLUMNS, row["products_snapshot"]).to_pylist()
    return rows[0] if rows else None


def _published(row: Row, runs: Future[Runs]) -> TaskInstance | None:
    """Return the task that had published the product when its description's run began."""
    return runs.result().last_writer("table", _TABLE, runs.result().began(row))


def _validation(published: Future[TaskInstance | None], runs: Future[Runs]) -> Link | None:
    """Return what Great Expectations found in the run that published the product, if its record says so."""
    by = published.result()
    results = list(runs.result().outputs_of(by.dag_id, by.run_id, "validation")) if by else []
    if not results:
        return None
    result, record = results[-1]
    verdict = next((one["name"] for one in record["outputs"] if one["name"].endswith("/validation.json")), None)
    counts = {name: record["counts"].get(name) for name in ("rows", "rejected")}
    return Link(
        kind="validation",
        name=f"suite {result['name']}",
        version=result["version"],
        details=stated(**counts, verdict=verdict, data_docs=record["details"].get("data_docs")),
        tasks=runs.result().tasks_of(record["dag_id"], record["run_id"], record["task_id"]),
        problem=_changed(verdict, result["checksum"]) if verdict else "its record names no verdict",
    )


def _line(product: Row, published: Future[TaskInstance | None], runs: Future[Runs]) -> Link:
    uri = f"{discovery.drop_uri(product['drop_id'])}styles.csv"
    stored, by = storage.look(uri), published.result()
    read = runs.result().version_read(by.dag_id, by.run_id, uri) if by else None
    return Link(
        kind="row",
        name=f"{uri} line {product['line_number']}",
        version=read or (stored.etag if stored else None),
        details={"line": product["raw_line"]},
        problem=f"{uri} is gone" if stored is None else _other_version(stored.etag, read),
    )


def _other_version(etag: str, read: str | None) -> str | None:
    return None if read in (None, etag) else f"its ETag is {etag} now, not {read}: it was uploaded again since"


def _mended_row(product: Row) -> Link | None:
    """Return what somebody made of the line by hand, if anybody did."""
    mending = product["mending"]
    if mending is None:
        return None
    return Link(
        kind="mended row",
        name=f"{mending['uri']} line_number {product['line_number']}",
        version=f"sha256 {mending['sha256']}",
        details={"line": mending["line"], "mended": ", ".join(mending["fields"])},
        problem=_changed(mending["uri"], mending["sha256"]),
    )


def _styles_json(product: Row) -> Link:
    uri, expected = product["styles_json_uri"], product["styles_json_sha256"]
    if uri is None:
        return Link("styles JSON", "none in the drop")
    return Link("styles JSON", uri, expected, problem=_changed(uri, expected))


def _picture(product: Row, row: Row) -> Link:
    uri, expected = product["picture_uri"], row["picture_sha256"]
    if uri is None:
        return Link("picture", "none in the drop")
    problem = _changed(uri, expected)
    return Link(
        kind="picture",
        name=uri,
        version=f"sha256 {expected}",
        details={"etag": product["picture_etag"], "checksum in S3 now": problem or "matches"},
        problem=problem,
    )


def _changed(uri: str, expected: str | None) -> str | None:
    """Compare an object's checksum with the one that was recorded; return what is wrong with it."""
    stored = storage.fetch(uri)
    if stored is None:
        return f"{uri} is gone"
    now = hashlib.sha256(stored[0]).hexdigest()
    return None if now == expected else f"its sha256 is {now} now, not {expected}"
