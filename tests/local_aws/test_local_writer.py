"""The stand-in that writes descriptions from facts, and the quotas before it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local_aws.bedrock.conversation import tokens
from local_aws.bedrock.places import Place
from local_aws.bedrock.prose import REFUSAL, compose, read_facts
from local_aws.bedrock.quota import Quotas
from local_aws.errors import AwsError
from local_aws.settings import Quota, Settings, from_environment

FACTS = [
    ("Name", "Turtle Men Check Navy Blue Shirt"),
    ("baseColour", "Navy Blue"),
    ("Fabric", "Cotton"),
    ("Sleeve Length", "Long Sleeves"),
    ("Pattern", "Checked"),
    ("Collar", "Spread Collar, buttoned"),
]
# Every word that the writer adds to names and values.
PLAIN = {"this", "is", "the", "meet", "here", "are", "piece", "has", "it", "comes", "with", "for", "by", "and"}


def _values(facts: list[tuple[str, str]]) -> list[str]:
    return [value for _, value in facts]


@pytest.mark.parametrize("seed", [str(number) for number in range(30)])
def test_every_value_is_stated_word_for_word_and_nothing_is_added(seed: str) -> None:
    facts = FACTS[2:]
    text = compose(facts, seed)
    for value in _values(facts):
        assert text.count(value) == 1
        text = text.replace(value, "")
    added = set(re.findall(r"[a-z]+", text.lower())) - PLAIN
    assert added <= {"fabric", "pattern"}


def test_what_a_product_is_reads_as_english() -> None:
    facts = [("Article Type", "Shirts"), ("Gender", "Men"), ("baseColour", "Navy Blue"), ("Brand", "Orlavane")]
    assert (
        compose([*facts, ("Fabric", "Cotton")], "x")
        .lower()
        .endswith("navy blue shirts for men by orlavane. the fabric is cotton.")
    )


def test_there_are_two_or_three_sentences() -> None:
    counts = {len(re.findall(r"\.(?: |$)", compose(FACTS, str(seed)))) for seed in range(50)}
    assert counts == {2, 3}


def test_one_fact_is_one_sentence() -> None:
    assert compose([("Name", "Red Dress")], "x").endswith("the Red Dress.")
    assert "The fabric is Silk." in compose([("Fabric", "Silk")], "x")


def test_the_same_message_always_gets_the_same_text_and_others_vary() -> None:
    texts = [compose(FACTS, str(seed)) for seed in range(20)]
    assert texts == [compose(FACTS, str(seed)) for seed in range(20)]
    assert len(set(texts)) > 5


def test_names_are_read_as_words() -> None:
    assert "base colour is Navy Blue" in compose(FACTS, "x")


@pytest.mark.parametrize("seed", [str(number) for number in range(10)])
def test_a_value_that_denies_does_not_deny_its_neighbour(seed: str) -> None:
    text = compose([("Sleeve Styling", "No Sleeves"), ("Neck", "Scoop Neck")], seed)
    assert "sleeve styling is No Sleeves" in text
    assert re.search("(has|with) Scoop Neck[.;]", text)


def test_facts_are_read_from_the_last_block_of_the_message() -> None:
    prompt = "<facts>\n- Fit: Old\n</facts> text <facts>\n - Fit :  Slim Fit \n\nno fact\n- URL: http://x: y\n</facts>"
    assert read_facts(prompt) == [("Fit", "Slim Fit"), ("URL", "http://x: y")]


def test_without_facts_it_says_so() -> None:
    assert compose(read_facts("Tell me about this shirt."), "x") == REFUSAL


def test_a_token_is_four_characters_begun() -> None:
    assert [tokens(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]


M = Place("m")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_quotas_refill_evenly_over_a_minute() -> None:
    clock = Clock()
    quotas = Quotas({"m": Quota(requests_per_minute=6)}, clock)
    for _ in range(6):
        quotas.reserve(M, 1)
    with pytest.raises(AwsError, match="Too many requests"):
        quotas.reserve(M, 1)
    clock.now = 10.0
    quotas.reserve(M, 1)
    with pytest.raises(AwsError):
        quotas.reserve(M, 1)


def test_tokens_that_were_reserved_and_not_used_are_given_back() -> None:
    quotas = Quotas({"*": Quota(tokens_per_minute=100)}, Clock())
    quotas.reserve(M, 90)
    quotas.give_back(M, 80)
    quotas.reserve(M, 90)
    with pytest.raises(AwsError, match="Too many tokens"):
        quotas.reserve(M, 1)
    quotas.reserve(Place("another model"), 100)


def test_a_quota_may_say_how_long_to_wait() -> None:
    clock = Clock()
    quotas = Quotas({"m": Quota(requests_per_minute=6, says_when=True)}, clock)
    for _ in range(6):
        quotas.reserve(M, 1)
    clock.now = 1.0
    with pytest.raises(AwsError) as refusal:
        quotas.reserve(M, 1)
    assert refusal.value.members == {"retry_after": "9"}


@pytest.mark.parametrize("text", ['{"m": {"requests_per_minute": 6}}', '{"m": 6}', "[]", "x"])
def test_quotas_that_make_no_sense_stop_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="LOCAL_AWS_BEDROCK_QUOTAS"):
        from_environment(Settings(state=Path(), images=Path()), {"LOCAL_AWS_BEDROCK_QUOTAS": text})


def test_a_refused_request_is_not_counted() -> None:
    quotas = Quotas({"m": Quota(1, 100)}, Clock())
    with pytest.raises(AwsError, match="Too many tokens"):
        quotas.reserve(M, 101)
    quotas.reserve(M, 100)


def test_each_region_has_a_quota_of_its_own() -> None:
    quotas = Quotas({"m": Quota(1), "m@eu-west-1": Quota(2)}, Clock())
    quotas.reserve(M, 1)
    for _ in range(2):
        quotas.reserve(Place("m", "eu-west-1"), 1)
    with pytest.raises(AwsError, match="Too many requests"):
        quotas.reserve(Place("m", "eu-west-1"), 1)
