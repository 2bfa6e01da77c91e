"""The check beside a writer that states facts and nothing else: local AWS's, and what damage to its text does."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

import pytest

from local_aws.bedrock.writer import compose, read_facts
from lookbook.descriptions import lexicon, prompts
from lookbook.descriptions.facts import Fact
from lookbook.descriptions.faithfulness import check
from lookbook.descriptions.wording import words
from lookbook.drops import vocabulary

VALUES = {attribute: list(values) for attribute, values in vocabulary.load().values.items()}
FIXED = {
    "Article Type": ["Shirts", "Tshirts", "Tops", "Casual Shoes", "Kurta Sets", "Watches", "Shorts", "Ties", "Suits"],
    "Gender": ["Men", "Women", "Unisex", "Boys", "Girls"],
    "Usage": ["Casual", "Sports", "Ethnic", "Formal", "Smart Casual", "Party", "Travel", "Home"],
    "Season": ["Summer", "Winter", "Fall", "Spring"],
    "Brand": ["Turtle", "Red Tape", "Blue Saint", "Solid", "United Colors of Benetton", "Gini and Jony", "Fall"],
}
# Of these it may be that another fact states them, or that they say nothing by themselves.
SILENT = {"Fabric", "Textile", "Synthetic", "Cotton", "Sleeveless"}


def write(facts: Sequence[Fact]) -> str:
    message = prompts.load().first_message(facts)
    return compose(read_facts(message), message)


def products(number: int) -> list[list[Fact]]:
    draw = random.Random(20261116)
    every = FIXED | VALUES
    return [
        [Fact(name, draw.choice(values)) for name, values in every.items() if name in FIXED or draw.random() < 0.6]
        for _ in range(number)
    ]


def test_whatever_the_local_writer_states_is_faithful() -> None:
    for facts in products(300):
        assert check(write(facts), facts).problems() == []


@pytest.mark.parametrize("attribute", VALUES)
def test_every_known_value_is_heard_when_it_is_stated(attribute: str) -> None:
    for value in VALUES[attribute]:
        facts = [Fact("Article Type", "Shirts"), Fact(attribute, value)]
        assert check(write(facts), facts).problems() == [], value


def test_a_left_out_an_exchanged_and_an_added_value_are_found() -> None:
    draw, slipped, damaged = random.Random(7), [], 0
    for facts in products(200):
        own = [fact for fact in facts if fact.attribute in VALUES and fact.value not in SILENT]
        absent = [name for name in VALUES if name not in {fact.attribute for fact in facts}]
        if not own or not absent:
            continue
        fact = draw.choice(own)
        other = draw.choice([value for value in VALUES[fact.attribute] if value not in {fact.value, *SILENT}])
        added = Fact(name := draw.choice(absent), draw.choice([value for value in VALUES[name] if value not in SILENT]))
        texts = [
            write([kept for kept in facts if kept != fact]),
            write([replace(fact, value=other) if kept == fact else kept for kept in facts]),
            write([*facts, added]),
        ]
        damaged += len(texts)
        slipped += [(fact, other, added, text) for text in texts if check(text, facts).faithful]
    assert len(slipped) / damaged <= 0.02, slipped


def test_every_ambiguous_wording_is_a_wording_of_its_attribute() -> None:
    content = tomllib.loads((files("lookbook.descriptions") / "lexicon.toml").read_text())
    del content["heads"], content["idioms"]
    phrases = lexicon.load().phrases
    for attribute, entry in content.items():
        for wording in entry["ambiguous"]:
            assert attribute in {claim[0] for claim in phrases[words(wording)].claims}, (attribute, wording)
