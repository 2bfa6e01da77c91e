"""The faithfulness check against a person's judgement, and its traps one by one."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from lookbook.descriptions.facts import Fact
from lookbook.descriptions.faithfulness import Verdict, check
from lookbook.descriptions.wording import words

PRODUCTS = tomllib.loads(Path(__file__).with_name("labelled_texts.toml").read_text())["products"]
FACTS = {name: [Fact(*pair) for pair in product["facts"].items()] for name, product in PRODUCTS.items()}
GOOD = [(name, text) for name, product in PRODUCTS.items() for text in product["good"]]
BAD = [(name, fault, text) for name, product in PRODUCTS.items() for fault, text in product["bad"]]


def faults(verdict: Verdict) -> set[str]:
    kinds = ("missing", "contradicted", "invented")
    return {f"{kind} {claim}" for kind in kinds for claim in getattr(verdict, kind)}


@pytest.mark.parametrize(("product", "text"), GOOD)
def test_a_faithful_text_passes(product: str, text: str) -> None:
    assert faults(check(text, FACTS[product])) == set()


@pytest.mark.parametrize(("product", "fault", "text"), BAD)
def test_an_unfaithful_text_is_told_its_fault(product: str, fault: str, text: str) -> None:
    assert fault in faults(check(text, FACTS[product]))


def test_precision_and_recall_on_the_labelled_texts(capsys: pytest.CaptureFixture[str]) -> None:
    refused_good = sum(not check(text, FACTS[name]).faithful for name, text in GOOD)
    refused_bad = sum(not check(text, FACTS[name]).faithful for name, _, text in BAD)
    precision, recall = refused_bad / (refused_bad + refused_good), refused_bad / len(BAD)
    with capsys.disabled():  # the figures belong in the log of every test run
        sys.stdout.write(f"\n{len(GOOD)} good, {len(BAD)} bad texts: precision {precision:.3f}, recall {recall:.3f}\n")
    assert precision >= 0.98
    assert recall >= 0.98


@pytest.mark.parametrize(
    ("text", "fact", "stated"),
    [
        ("a navy blue shirt", Fact("baseColour", "Blue"), False),
        ("a blue shirt", Fact("baseColour", "Blue"), True),
        ("a sleeveless top", Fact("Sleeve Length", "Long Sleeves"), False),
        ("no sleeves here", Fact("Sleeve Length", "Sleeveless"), True),
        ("short-sleeved", Fact("Sleeve Length", "Short Sleeves"), True),
        ("regular customers love the fit", Fact("Fit", "Regular Fit"), False),
        ("REGULAR-FIT", Fact("Fit", "Regular Fit"), True),
        ("a regular, slim cut", Fact("Fit", "Slim Fit"), True),
        ("a color-blocked pattern", Fact("Pattern", "Colourblocked"), True),
        ("a V neckline", Fact("Neck", "V-Neck"), True),
        ("in jute hemp blend", Fact("Fabric", "Jute Hemp"), True),
        ("by United Colors of Benetton", Fact("Brand", "United Colors of Benetton"), True),
    ],
)
def test_overlapping_and_ambiguous_words(text: str, fact: Fact, stated: bool) -> None:
    assert (f"{fact.attribute}: {fact.value}" not in check(text, [fact]).missing) is stated


def test_a_brands_words_describe_nothing() -> None:
    facts = [Fact("Brand", "Blue Saint"), Fact("baseColour", "Blue")]
    assert faults(check("A shirt by Blue Saint.", facts)) == {
        "missing baseColour: Blue",
        "invented Article Type: Shirts",
    }


def test_a_denied_value_that_is_no_fact_is_no_claim() -> None:
    assert check("A cotton piece without polyester.", [Fact("Fabric", "Cotton")]).faithful


def test_every_fault_is_put_in_words() -> None:
    facts = [Fact("Fabric", "Cotton"), Fact("baseColour", "Red")]
    assert check("A linen shirt.", facts).problems() == [
        "it doesn't state Fabric: Cotton",
        "it doesn't state baseColour: Red",
        "it says Fabric: Linen, which contradicts the facts",
        "it says Article Type: Shirts, which is not among the facts",
    ]


def test_words_are_the_same_however_they_are_written() -> None:
    assert words("Long-Sleeved T-Shirts’ Colours") == words("long sleeve tshirt colour")
    assert words("women's dresses") == words("woman dress")
    assert words("crew-neck, scarves") == ("crew", "neck", ",", "scarf")
