"""The page of a report: whole, self-contained, and nothing of a drop gets out of its place in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookbook_image import page, scoring
from lookbook_image.examples import Example, Examples
from lookbook_image.pairs import Side
from lookbook_image.scoring import Given, Scorer

EVIL = "<script>alert('x')</script>\"><img src=x onerror=y>"
ATTRIBUTES = ("Fit", EVIL)
# HTML's elements without an end tag; those of SVG are written with one.
VOID = {"meta", "img", "br"}


class Outline(HTMLParser):
    """What a browser would see: elements with their attributes, text, and tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.misplaced: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            self.misplaced.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def side() -> Side:
    answers = [f"{attribute}: {value}" for value in ("a", EVIL) * 5 for attribute in ATTRIBUTES]
    return Side(
        directory=Path("benchmark"),
        pictures=tuple(f"{number}.jpg" for number in range(10)),
        picture_of_pair=np.repeat(np.arange(10), 2),
        attributes=ATTRIBUTES * 10,
        questions=("What?",) * 20,
        answers=tuple(answers),
    )


def report(champion: bool = True) -> dict[str, Any]:
    benchmark = side()
    texts = {name: list(benchmark.answers) for name in ("challenger", "majority", "base", "blind")}
    texts["challenger"][0] = EVIL
    if champion:
        texts["champion"] = ["Fit: a"] * 20
    scorer = Scorer(benchmark)
    given = Given(texts["challenger"], np.linspace(0.3, 1, 20))
    return {
        "format": 2,
        "job": EVIL,
        "benchmark": {"pairs": 20, "pictures": 10},
        "chance": {"confidence": 0.95, "resamples": 2000, "seed": 0},
        "models": {name: scorer.score(answers) for name, answers in texts.items()},
        "comparisons": {
            name: scorer.compare(texts["challenger"], answers)
            for name, answers in texts.items()
            if name != "challenger"
        },
        "confusions": scorer.confusions(texts["challenger"]),
        "calibration": scoring.calibrate(benchmark, given, benchmark, given, 0.9),
    }


def example(given: str, champion: str | None) -> Example:
    return Example("data:image/jpeg;base64,AAAA", EVIL, EVIL, "a", given, 0.75, champion)


@pytest.fixture(scope="module")
def shown() -> str:
    return page.render(report(), Examples([example(EVIL, "a")], [example("a", None)]))


def test_every_tag_is_closed_where_it_was_opened(shown: str) -> None:
    outline = Outline(shown)
    assert (outline.open, outline.misplaced) == ([], [])


def test_text_from_a_drop_stays_text(shown: str) -> None:
    outline = Outline(shown)
    assert not [tag for tag, _ in outline.elements if tag in {"script", "iframe", "object", "link", "form", "a"}]
    assert not [name for _, attributes in outline.elements for name in attributes if name.startswith("on")]
    assert outline.text.count(EVIL) > 10  # attribute, value, answer and job are all shown as they are


def test_the_page_loads_nothing(shown: str) -> None:
    outline = Outline(shown)
    sources = [attributes[name] for _, attributes in outline.elements for name in ("src", "href") if name in attributes]
    assert sources and all(source and source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"url\(|@import|https?:", shown)
    [policy] = [attributes["content"] for tag, attributes in outline.elements if "http-equiv" in attributes]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_model_and_its_lead_is_in_the_table(shown: str) -> None:
    text = " ".join(Outline(shown).text.split())
    for words in ("champion", "majority answer", "base, before training", "challenger, pictures shuffled"):
        assert words in text
    assert "0.950" in text  # the challenger's exact match
    assert "+70.0 points" in text  # its lead over the champion


def test_a_page_has_a_dark_side(shown: str) -> None:
    assert "prefers-color-scheme: dark" in shown


def test_a_first_model_has_a_page_without_a_champion() -> None:
    text = Outline(page.render(report(champion=False), Examples([], []))).text
    assert "against the champion" not in text
    assert "No answer was wrong." in text and "No answer was right." in text


@pytest.mark.parametrize(("value", "place"), [(0.5, "50.00%"), (-0.1, "0.00%"), (1.2, "100.00%")])
def test_marks_stay_on_their_axis(value: float, place: str) -> None:
    assert page._place(value) == place


@pytest.mark.parametrize(("value", "points"), [(0.0512, "+5.1"), (-0.0512, "−5.1"), (0.0, "+0.0")])
def test_differences_are_shown_in_points(value: float, points: str) -> None:
    assert page._points(value) == points


@pytest.mark.parametrize(("value", "chance"), [(0.0, "< 0.001"), (0.0409, "= 0.041"), (1.0, "= 1.000")])
def test_a_p_value_is_never_shown_as_zero(value: float, chance: str) -> None:
    assert page._chance(value) == chance
