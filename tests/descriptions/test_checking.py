"""The whole check on labelled texts: good ones written by hand and from patterns, and the same damaged by rules."""

from __future__ import annotations

import itertools
import random
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from tests.descriptions import damage, phrasing

from lookbook.descriptions import checking, prompts, structured
from lookbook.descriptions.facts import Fact
from lookbook.descriptions.texts import ProductText

WRITTEN = tomllib.loads(Path(__file__).with_name("good_texts.toml").read_text())
RULES_A_TEXT = 3
PHRASED = 132


@dataclass(frozen=True)
class Labelled:
    """A text, its product's facts, and the rule that damaged it: ``None`` for a good one."""

    text: ProductText
    facts: tuple[Fact, ...]
    rule: str | None = None


def problems(text: ProductText, facts: tuple[Fact, ...]) -> list[str]:
    """Judge a text as a draft is judged: by the schema of the tool that it is handed to, then by the check."""
    prompt = prompts.load("product_description@2")
    assert prompt.tool is not None
    given = text.as_dict() | {"bullet_points": [*text.bullet_points], "keywords": [*text.keywords]}
    read, unshaped = structured.read(given, prompt.tool.schema)
    return [*unshaped, *(checking.problems(read, facts, prompt) if read else [])]


def good_texts(half: str) -> Iterator[Labelled]:
    for entry in WRITTEN[half]:
        parts = {name: entry[name] for name in ("title", "description", "bullet_points", "keywords")}
        yield Labelled(ProductText.from_dict(parts), tuple(Fact(name, value) for name, value in entry["facts"].items()))
    draw = random.Random(5)
    for facts in phrasing.products(half, PHRASED):
        yield Labelled(phrasing.text_of(facts, half, draw), tuple(facts))


def damaged_texts(half: str, texts: list[Labelled]) -> Iterator[Labelled]:
    draw, rules = random.Random(9), damage.rules(half)
    turn = itertools.cycle(rules)
    for good in texts:
        for name in itertools.islice(turn, RULES_A_TEXT):
            if damaged := rules[name](good.text, good.facts, draw):
                yield Labelled(damaged, good.facts, name)


@dataclass(frozen=True)
class Figures:
    """How the check judged one half's texts."""

    good: int
    false_alarms: list[tuple[Labelled, list[str]]]
    damaged: Counter[str]
    found: Counter[str]

    @property
    def recall(self) -> float:
        return self.found.total() / self.damaged.total()

    @property
    def precision(self) -> float:
        """Share of refusals that are right, where half of the texts are damaged: more good ones than that were kind."""
        return self.recall / (self.recall + len(self.false_alarms) / self.good)

    def __str__(self) -> str:
        missed = [f"{rule} {self.found[rule]} of {n}" for rule, n in self.damaged.items() if self.found[rule] < n]
        return (
            f"{self.good} good, {self.damaged.total()} damaged texts by {len(self.damaged)} rules: "
            f"precision {self.precision:.3f}, recall {self.recall:.3f}; below 1: {', '.join(missed) or 'no rule'}"
        )


@lru_cache(maxsize=2)
def figures(half: str) -> Figures:
    good = list(good_texts(half))
    refused = [(text, found) for text in good if (found := problems(text.text, text.facts))]
    damaged = list(damaged_texts(half, good))
    return Figures(
        len(good),
        refused,
        Counter(text.rule for text in damaged if text.rule),
        Counter(text.rule for text in damaged if text.rule and problems(text.text, text.facts)),
    )


@pytest.mark.parametrize("half", ["tuning", "measuring"])
def test_precision_and_recall_on_labelled_texts(half: str, capsys: pytest.CaptureFixture[str]) -> None:
    measured = figures(half)
    with capsys.disabled():  # the figures belong in the log of every test run
        sys.stdout.write(f"\n{half}: {measured}\n")
    assert measured.good + measured.damaged.total() >= 300
    assert measured.precision >= 0.98, measured.false_alarms
    assert measured.recall >= 0.98


@pytest.mark.parametrize("half", ["tuning", "measuring"])
def test_every_rule_damages_some_text_and_is_mostly_found(half: str) -> None:
    measured = figures(half)
    assert set(measured.damaged) == set(damage.rules(half))
    assert not [rule for rule, number in measured.damaged.items() if measured.found[rule] < number / 2]


def test_no_text_and_no_sentence_is_in_both_halves() -> None:
    tuning, measuring = ({entry["description"] for entry in WRITTEN[half]} for half in ("tuning", "measuring"))
    assert not tuning & measuring
    for kind, sentences in damage.SENTENCES["tuning"].items():
        assert not set(sentences) & set(damage.SENTENCES["measuring"][kind])


SHIRT = (Fact("Article Type", "Shirts"), Fact("baseColour", "Blue"), Fact("Fabric", "Cotton"))


def said(description: str = "A blue shirt of cotton.", facts: tuple[Fact, ...] = SHIRT, **parts: object) -> list[str]:
    return checking.problems(
        ProductText(description=description, **parts),
        facts,
        prompts.load("product_description@2"),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"title": "Red Cotton Shirt"}, "its title says baseColour: Red, which contradicts the facts"),
        ({"bullet_points": ("Slim fit",)}, "a bullet point says Fit: Slim Fit, which is not among the facts"),
        ({"keywords": ("gold shirt",)}, "a keyword says baseColour: Gold, which contradicts the facts"),
        ({"keywords": ("shirt in the sale",)}, 'a keyword speaks of a price or an offer ("sale")'),
        ({"title": "Blue Shirt <b>"}, "its title holds markup"),
        (
            {"description": "A blue shirt of cotton, from Nostrano."},
            'it names "Nostrano", which is not among the facts',
        ),
        ({"description": "A blue shirt of cotton. Dry clean it."}, 'it speaks of how to care for it ("dry clean")'),
    ],
)
def test_a_problem_names_the_part_that_has_it(parts: dict[str, object], problem: str) -> None:
    assert said(**parts) == [problem]  # type: ignore[arg-type]


def test_only_the_description_must_state_every_fact() -> None:
    assert said(title="Blue Shirt", bullet_points=("Cotton",), keywords=("blue shirt",)) == []
    assert said("A blue shirt.", title="Cotton Shirt") == ["it doesn't state Fabric: Cotton"]


@pytest.mark.parametrize(
    ("fact", "description"),
    [
        (Fact("Brand", "Price & Sons"), "A blue shirt of cotton by Price & Sons."),
        (Fact("Brand", "612 League"), "A blue shirt of cotton by 612 League."),
        (Fact("Size", "Free Size"), "A blue shirt of cotton, the size is free size."),
        (Fact("Sleeve Length", "Three-Quarter Sleeves"), "A blue shirt of cotton with 3/4 sleeves."),
        (Fact("Collar", "Button-Down Collar"), "A blue shirt of cotton with a button-down collar."),
        (Fact("Brand", "Made in Italy"), "A blue shirt of cotton, made in Italy."),
        (Fact("Brand", "Sports Originals"), "A blue shirt of cotton by Sports Originals"),
        (
            Fact("Brand", "United Colors of Benetton"),
            "The Colour is Blue, for a shirt of cotton by United Colors of Benetton.",
        ),
    ],
)
def test_a_facts_own_words_claim_nothing_else(fact: Fact, description: str) -> None:
    assert said(description, (*SHIRT, fact)) == []


@pytest.mark.parametrize(
    "description",
    [
        "A blue shirt of cotton. Wear it on Sunday, or save it for later.",
        "A blue shirt of cotton to look your best in.",
        "In fact, a blue shirt of cotton.",
        "A blue shirt of cotton, and a solid choice.",
        "A blue shirt of cotton that makes you fall in love.",
    ],
)
def test_idioms_claim_nothing(description: str) -> None:
    assert said(description) == []


@pytest.mark.parametrize(
    "description",
    [
        "Une chemise bleue en coton pour homme, parfaite pour les beaux jours.",
        "A blue shirt of cotton. Parfaite pour les longues soirées entre amis en ville.",
    ],
)
def test_another_language_is_noticed(description: str) -> None:
    assert any("not in the language en-GB" in line for line in said(description))


def test_a_brand_of_the_facts_may_be_named_and_its_look_alike_may_not() -> None:
    facts = (*SHIRT, Fact("Brand", "Oakwell"))
    assert said("A blue shirt of cotton by Oakwell.", facts) == []
    assert 'its title names "Oakwall", which is not the brand "oakwell"' in said(
        "A blue shirt of cotton by Oakwell.", facts, title="Oakwall Shirt"
    )
