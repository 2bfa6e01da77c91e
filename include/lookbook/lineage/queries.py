"""Where did this description come from? Answered from the tables, S3 and SageMaker as they are now.

Any number of threads may ask. One product costs a few rows of four tables and a handful of look-ups, which go side by
side; what never changes (files of tables, records of a version) is kept in memory, within bounds
(docs/decisions/0031-lineage-without-an-index.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyiceberg.expressions import And

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.views import View
from lookbook.descriptions import prompts
from lookbook.errors import PermanentError
from lookbook.lineage import answers, products
from lookbook.lineage.chain import Chain, Link, TaskInstance, stated
from lookbook.lineage.runs import Runs
from lookbook.lineage.together import Together

Row = Mapping[str, Any]

_TABLE = "descriptions.descriptions"
_COLUMNS = (
    *("drop_id", "product_id", "status", "reasons", "description", "facts", "differences", "input_hash", "result_uri"),
    *("prompt_version", "prompt_sha256", "text_model_id", "request_id", "input_tokens", "output_tokens", "cost_usd"),
    *("attribute_model_version", "endpoint_config", "products_snapshot", "picture_sha256"),
    *("dag_id", "run_id", "task_id", "map_index"),
    *("review", "edited", "reviewed_by", "reviewed_at", "review_reason"),
)


def chain(product_id: str, drop_id: str | None = None) -> Chain:
    """Follow a description of a product back to its picture, its row, its prompt and its model.

    Links that no longer resolve are part of the chain, with what is wrong: it is for finding out, so it doesn't fail.

    Args:
        product_id: the product.
        drop_id: in which drop it was described; none means the newest.

    Raises:
        PermanentError: the product has no description there, published or not.
    """
    row = _row(product_id, drop_id)
    with Together() as together:
        return Chain(product_id, _description(row, together))


def _row(product_id: str, drop_id: str | None) -> Row:
    view = View(_TABLE)
    drops = [drop_id] if drop_id else view.partitions_with("product_id", product_id)[-1:]
    for drop in drops:
        of_product = And(tables.equals("drop_id", drop), tables.equals("product_id", product_id))
        if rows := view.rows(of_product, _COLUMNS).to_pylist():
            return rows[0]  # type: ignore[no-any-return]
    where = f" in drop {drop_id}" if drop_id else ""
    raise PermanentError(f"Product {product_id} has no description{where}. Run describe_products for its drop.")


def _description(row: Row, together: Together) -> Link:
    runs = together.start(Runs, row["drop_id"])
    product = together.start(products.product, row, runs, together)
    predictions = together.start(answers.predictions, row, runs, together)
    stored = together.start(storage.look, row["result_uri"]) if row["result_uri"] else None
    sources = [_request(row), _prompt(row), _facts(row), predictions.result(), product.result()]
    return Link(
        kind="description",
        name=f"product {row['product_id']} of drop {row['drop_id']}",
        version=row["input_hash"],
        details=stated(
            status=row["status"],
            reasons="; ".join(row["reasons"] or ()),
            review=_review(row),
            text=row["description"],
            result=row["result_uri"],
        ),
        tasks=_made_by(row, runs.result()),
        problem=f"{row['result_uri']} is gone" if stored and not stored.result() else None,
        sources=tuple(source for source in sources if source),
    )


def _made_by(row: Row, runs: Runs) -> tuple[TaskInstance, ...]:
    if not row["run_id"]:
        return ()
    return (runs.describing(row), *runs.tasks_of(row["dag_id"], row["run_id"], "publish"))


def _review(row: Row) -> str | None:
    """Say what a person decided, who it was and when, and whether the text is theirs."""
    if not row["review"]:
        return None
    edited = ", who edited the text" if row["edited"] else ""
    why = f": {row['review_reason']}" if row["review_reason"] else ""
    return f"{row['review']} by {row['reviewed_by']}{edited} ({row['reviewed_at']:%Y-%m-%d %H:%M} UTC){why}"


def _request(row: Row) -> Link | None:
    if not row["request_id"]:
        return None
    tokens = f"{row['input_tokens']} in, {row['output_tokens']} out"
    cost = "no list price" if row["cost_usd"] is None else f"{row['cost_usd']:.6f} USD"
    return Link("request", row["text_model_id"], row["request_id"], {"tokens": tokens, "cost": cost})


def _prompt(row: Row) -> Link:
    try:
        known = prompts.load(row["prompt_version"]).sha256
    except PermanentError as error:
        return Link("prompt", row["prompt_version"], row["prompt_sha256"], problem=str(error))
    problem = None if known == row["prompt_sha256"] else f"the installed version's checksum is {known}"
    return Link("prompt", row["prompt_version"], row["prompt_sha256"], problem=problem)


def _facts(row: Row) -> Link:
    details = {fact["attribute"]: _sourced(fact, row) for fact in row["facts"]}
    for difference in row["differences"]:
        details[f"difference in {difference['attribute']}"] = (
            f"catalogue {difference['catalogue_value']}, model {difference['model_value']} "
            f"(probability {difference['probability']:.3f})"
        )
    return Link("facts", f"{len(row['facts'])} stated", details=details)


def _sourced(fact: Row, row: Row) -> str:
    if fact["source"] == "catalogue":
        return f"{fact['value']} (catalogue)"
    return f"{fact['value']} (model {row['attribute_model_version']}, probability {fact['probability']:.3f})"
