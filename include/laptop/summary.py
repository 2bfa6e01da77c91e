"""What a demo came to, read from what the runs left: XComs for counts, tables and reports for everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from laptop.airflow_api import AirflowApi, DagRun

_EXAMPLES = 3
_LONGEST_VERSION = 20  # an Iceberg snapshot id has up to 19 digits, an ARN over 60 characters


@dataclass(frozen=True)
class Runs:
    """The three runs of a demo."""

    ingest: DagRun
    retrain: DagRun
    describe: DagRun


@dataclass(frozen=True)
class Accuracy:
    """Exact match of one attribute's answers on the benchmark, shares of 1; ``attribute`` is "all" for the total."""

    attribute: str
    pairs: int
    before: float
    majority: float
    blind: float
    after: float
    champion: float | None


@dataclass(frozen=True)
class Training:
    """What retraining came to: why it was or wasn't done, what it taught, and what the gate made of it."""

    decision: str
    accuracy: list[Accuracy] = field(default_factory=list)
    passed: bool = False
    gate: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Descriptions:
    """What became of the drop's products; cost in USD at list price, ``None`` for a model that has no price here."""

    products: int
    statuses: dict[str, int]
    reasons: dict[str, int]
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    text_model: str
    model_version: str | None


@dataclass(frozen=True)
class Example:
    """One published description and its lineage in short, one line a thing it was made from."""

    product_id: str
    description: str
    lineage: list[str]


@dataclass(frozen=True)
class Summary:
    """Everything that a demo ends with."""

    drop_id: str
    rows: int
    published: int
    quarantined: int
    quarantine_reasons: dict[str, int]
    training: Training
    descriptions: Descriptions
    examples: list[Example]


def collect(api: AirflowApi, runs: Runs) -> Summary:
    """Read what the three runs left. This process must have adopted the platform's environment."""
    published, validated = api.xcom(runs.ingest, "publish"), api.xcom(runs.ingest, "validate")
    rows = _description_rows(published["drop_id"])
    return Summary(
        drop_id=published["drop_id"],
        rows=published["rows"],
        published=published["published"],
        quarantined=published["quarantined"],
        quarantine_reasons=validated["reasons"],
        training=_training(api, runs.retrain),
        descriptions=_descriptions(rows, api.xcom(runs.describe, "predict_attributes")),
        examples=_examples(rows),
    )


def accuracies(report: Any) -> list[Accuracy]:
    """Return an evaluation report's figures, one entry an attribute, the total last."""
    return [_accuracy(report, name) for name in report.models.challenger.attributes] + [_accuracy(report, None)]


def _training(api: AirflowApi, run: DagRun) -> Training:
    from lookbook.training import evaluation

    decision = api.xcom(run, "enough_new_pairs", "decision")
    evaluated = api.xcom(run, "evaluate")
    if evaluated is None:
        return Training(decision["reason"])
    gate = api.xcom(run, "gate", "decision")
    report = evaluation.load(evaluated["model_data"])
    return Training(decision["reason"], accuracies(report), gate["passed"], gate["reasons"])


def _accuracy(report: Any, attribute: str | None) -> Accuracy:
    def score(of: Any) -> float:
        if attribute is None:
            return float(of.exact_match)
        return float(of.attributes[attribute].exact_match) if attribute in of.attributes else 0.0

    models = report.models
    pairs = models.challenger.attributes[attribute].pairs if attribute else report.benchmark.pairs
    champion = score(models.champion) if models.champion else None
    figures = (score(models.base), score(models.majority), score(models.blind), score(models.challenger))
    return Accuracy(attribute or "all", pairs, *figures, champion)


def _description_rows(drop_id: str) -> list[dict[str, Any]]:
    from lookbook.catalog import tables

    rows: pa.Table = tables.read("descriptions.descriptions", tables.equals("drop_id", drop_id))
    found: list[dict[str, Any]] = rows.sort_by("product_id").to_pylist()
    return found


def _descriptions(rows: list[dict[str, Any]], predicted: dict[str, Any]) -> Descriptions:
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    return Descriptions(
        products=len(rows),
        statuses=dict(Counter(row["status"] for row in rows)),
        reasons=dict(Counter(reason for row in rows if row["status"] != "published" for reason in row["reasons"])),
        input_tokens=sum(row["input_tokens"] or 0 for row in rows),
        output_tokens=sum(row["output_tokens"] or 0 for row in rows),
        cost_usd=sum(costs) if costs else None,
        text_model=next((row["text_model_id"] for row in rows), ""),
        model_version=predicted["model_version"],
    )


def _examples(rows: list[dict[str, Any]]) -> list[Example]:
    """Return three published descriptions, first those that a model's answer went into."""
    published = [row for row in rows if row["status"] == "published"]
    published.sort(key=lambda row: not any(fact["source"] == "model" for fact in row["facts"]))
    return [
        Example(row["product_id"], row["description"], _lineage(row["product_id"])) for row in published[:_EXAMPLES]
    ]


def _lineage(product_id: str) -> list[str]:
    from lookbook.lineage import queries

    chain = queries.chain(product_id)
    return [*lineage_lines(chain.root), *chain.problems]


def lineage_lines(link: Any, depth: int = 0) -> Iterator[str]:
    """Yield a line for each thing behind ``link``, indented by how far behind it is, without its details."""
    for source in link.sources:
        yield f"{'  ' * depth}{source.kind}: {source.name}{_short(source.version)}"
        yield from lineage_lines(source, depth + 1)


def _short(version: str | None) -> str:
    """Return a version for one line: a checksum whole, other long ones cut, addresses left to the whole chain."""
    if not version or version.startswith(("arn:", "s3://")):
        return ""
    whole = version.startswith("sha256 ") or len(version) <= _LONGEST_VERSION
    return f" @ {version if whole else version[: _LONGEST_VERSION - 8] + '…'}"
