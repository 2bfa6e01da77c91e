"""The summary: figures read from a report, and how a reader sees them."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from rich.console import Console
from tests.training import reports

from laptop.summary import Accuracy, Descriptions, Example, Summary, Training, accuracies, lineage_lines
from laptop.summary_text import show
from lookbook.lineage.chain import Link
from lookbook.training.evaluation import EvaluationReport

BASE, CHALLENGER, BLIND, MAJORITY = (0.0, 0.0), (0.75, 1.0), (0.25, 0.25), (0.5, 0.25)


def score(*shares: float) -> dict[str, Any]:
    """Return the score of a model that answers so large a share of the questions about Fabric and Fit, four each."""
    content = reports.score(sum(shares) / len(shares), ("Fabric", "Fit"))
    for attribute, share in zip(content["attributes"].values(), shares, strict=True):
        attribute |= {"exact_match": share, "pairs": 4}
    return content


def report(champion: tuple[float, float] | None = None) -> EvaluationReport:
    content = reports.report(champion=None if champion is None else 0.0, attributes=("Fabric", "Fit"))
    models = {"base": BASE, "challenger": CHALLENGER, "blind": BLIND, "majority": MAJORITY}
    models |= {} if champion is None else {"champion": champion}
    content |= {"benchmark": {"pairs": 8, "pictures": 4}}
    content |= {"models": {name: score(*shares) for name, shares in models.items()}}
    return EvaluationReport.model_validate(content)


SUMMARY = Summary(
    drop_id="2026-11-16",
    rows=200,
    published=190,
    quarantined=10,
    quarantine_reasons={"too_few_fields": 1, "picture_missing": 9},
    training=Training("190 new labelled pairs", accuracies(report()), True, ["exact match 0.875 against 0.375"]),
    descriptions=Descriptions(
        190, {"published": 188, "withheld": 2}, {"contradicted": 2}, 42_000, 9_000, 0.0719, "m", "v1"
    ),
    examples=[Example("7", "A [red] shirt.", ["picture: s3://lookbook/7.jpg @ sha256 ab"])],
)


def shown(summary: Summary) -> str:
    output = io.StringIO()
    show(Console(file=output, width=120), summary)
    return output.getvalue()


def test_every_attribute_has_its_figures_and_the_total_comes_last() -> None:
    figures = accuracies(report())

    assert figures == [
        Accuracy("Fabric", 4, 0.0, 0.5, 0.25, 0.75, None),
        Accuracy("Fit", 4, 0.0, 0.25, 0.25, 1.0, None),
        Accuracy("all", 8, 0.0, 0.375, 0.25, 0.875, None),
    ]


def test_a_champion_that_does_not_know_an_attribute_answers_none_of_it() -> None:
    figures = accuracies(report(champion=(0.5, 0.0)))

    assert [figure.champion for figure in figures] == [0.5, 0.0, 0.25]


def test_counts_reasons_model_and_cost_are_shown() -> None:
    text = shown(SUMMARY)

    assert "Drop 2026-11-16: 200 rows read, 190 published" in text
    assert "10 quarantined (picture_missing 9, too_few_fields 1)" in text
    assert "Model in service: version v1" in text
    assert "188 published, 2 withheld, 0 failed of 190 products (contradicted 2)" in text
    assert "42000 tokens in, 9000 out, 0.0719 USD at list price of m" in text
    assert "“A [red] shirt.”" in text


def test_without_a_model_the_reader_is_told_what_descriptions_are_written_from() -> None:
    refused = Training("forced", accuracies(report()), False, ["exact match 0.2 against 0.7: not enough"])
    none = dataclasses.replace(SUMMARY.descriptions, model_version=None, cost_usd=None)

    text = shown(dataclasses.replace(SUMMARY, training=refused, descriptions=none))

    assert "Gate: refused" in text
    assert "not enough" in text
    assert "Model in service: none; descriptions are written from the catalogue's facts alone" in text
    assert "no list price known" in text


def test_a_training_that_was_not_done_says_why_and_shows_no_figures() -> None:
    text = shown(dataclasses.replace(SUMMARY, training=Training("3 new labelled pairs, 50 needed")))

    assert "3 new labelled pairs, 50 needed" in text
    assert "majority" not in text


@pytest.mark.parametrize(
    ("version", "line"),
    [
        (None, "picture: p"),
        ("arn:aws:sagemaker:us-east-1:0:model-package/m/1", "picture: p"),
        ("5798732236790198834", "picture: p @ 5798732236790198834"),
        ("sha256 " + "a" * 64, "picture: p @ sha256 " + "a" * 64),
        ("f" * 40, "picture: p @ " + "f" * 12 + "…"),
    ],
)
def test_a_version_is_shown_as_short_as_it_still_says_something(version: str | None, line: str) -> None:
    root = Link("description", "d", sources=(Link("picture", "p", version),))

    assert list(lineage_lines(root)) == [line]


def test_what_lies_further_behind_is_indented_further() -> None:
    root = Link("description", "d", sources=(Link("product", "p", sources=(Link("row", "r"),)), Link("prompt", "v1")))

    assert list(lineage_lines(root)) == ["product: p", "  row: r", "prompt: v1"]
