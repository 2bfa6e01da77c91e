"""The summary as a reader sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from laptop.summary import Accuracy, Descriptions, Example, Summary, Training


def show(console: Console, summary: Summary) -> None:
    """Print a summary."""
    for line in _drop(summary):
        console.print(line, markup=False)
    for line in _model(summary.training, summary.descriptions):
        console.print(line, markup=False)
    if summary.training.accuracy:
        console.print(accuracy_table(summary.training.accuracy))
    for line in _descriptions(summary.descriptions):
        console.print(line, markup=False)
    for example in summary.examples:
        for line in _example(example):
            console.print(line, markup=False)


def accuracy_table(figures: list[Accuracy]) -> Table:
    """Return the table of exact match per attribute."""
    champion = any(figure.champion is not None for figure in figures)
    heads = ("exact match", "answers", "before", "majority", "blind", "after", *(["champion"] if champion else []))
    table = Table(*heads, box=box.SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    for figure in figures:
        shares = (figure.before, figure.majority, figure.blind, figure.after)
        cells = [f"{share:.2f}" for share in shares]
        if champion:
            cells.append("–" if figure.champion is None else f"{figure.champion:.2f}")
        table.add_row(figure.attribute, str(figure.pairs), *cells)
    return table


def _drop(summary: Summary) -> Iterator[str]:
    yield f"Drop {summary.drop_id}: {summary.rows} rows read, {summary.published} published"
    yield f"  {summary.quarantined} quarantined{_list(summary.quarantine_reasons)}"


def _model(training: Training, descriptions: Descriptions) -> Iterator[str]:
    yield ""
    yield f"Training: {training.decision}"
    if training.gate:
        yield f"Gate: {'passed' if training.passed else 'refused'}"
        yield from (f"  {reason}" for reason in training.gate)
    if descriptions.model_version:
        yield f"Model in service: version {descriptions.model_version}"
    else:
        yield "Model in service: none; descriptions are written from the catalogue's facts alone"


def _descriptions(found: Descriptions) -> Iterator[str]:
    counts = ", ".join(f"{found.statuses.get(status, 0)} {status}" for status in ("published", "withheld", "failed"))
    cost = "no list price known" if found.cost_usd is None else f"{found.cost_usd:.4f} USD at list price"
    yield f"Descriptions: {counts} of {found.products} products{_list(found.reasons)}"
    yield f"  {found.input_tokens} tokens in, {found.output_tokens} out, {cost} of {found.text_model}"


def _example(example: Example) -> Iterator[str]:
    yield ""
    yield f"Product {example.product_id}"
    yield f"  “{example.description}”"
    yield from (f"    {line}" for line in example.lineage)
    yield f"  All of it: make lineage PRODUCT={example.product_id}"


def _list(counts: Mapping[str, int]) -> str:
    text = ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f" ({text})" if text else ""
