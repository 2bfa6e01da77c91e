"""Prompt versions: what they are known by, and what a request takes from them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lookbook.descriptions import prompts
from lookbook.descriptions.facts import Fact
from lookbook.errors import PermanentError
from lookbook.settings import Settings, get_settings

FACTS = [Fact("Article Type", "Shirts"), Fact("baseColour", "Blue")]
# A prompt in service never changes: what was written with it names this checksum. Add a version instead.
CHECKSUMS = {
    "faithfulness_judge@1": "4875c23d62664528cce686fb727ce98136d5a199d57c71faef5fc9c7a71eaa80",
    "product_description@1": "0e1477149c40875f6756a574be8c56cb3a9fd5407affd4b57d5757f5272f4193",
    "product_description@2": "7ee824961246ebf3975188dc73dd9195d34dfa7c9b223d05f0b5f1ac339ffa99",
}


@pytest.mark.parametrize("version", prompts.versions())
def test_a_prompt_version_is_known_by_its_checksum(version: str) -> None:
    assert prompts.load(version).sha256 == CHECKSUMS[version]


def test_a_checksum_tells_files_apart_by_name_and_content_and_not_by_order() -> None:
    one = prompts._checksum({"a.md": b"x", "b.md": b"y"})
    assert prompts._checksum({"b.md": b"y", "a.md": b"x"}) == one
    assert prompts._checksum({"a.md": b"y", "b.md": b"x"}) != one
    assert prompts._checksum({"a.md": b"x", "b.md": b"y", "c.md": b""}) != one


@pytest.mark.parametrize("version", ["product_description@0", "v1", "../prompts", "product_description", ""])
def test_an_unknown_prompt_version_is_refused(version: str) -> None:
    with pytest.raises(PermanentError, match=r"no prompt version .* There are: .*product_description@1"):
        prompts._load(version, "en-GB")


def test_the_prompt_in_service_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_PROMPT", "product_description@2")
    monkeypatch.setenv("LOOKBOOK_LANGUAGE", "en-US")
    get_settings.cache_clear()
    prompt = prompts.load()
    assert (prompt.version, prompt.language) == ("product_description@2", "en-US")
    assert "American English" in prompt.system


def test_no_placeholder_is_left_in_a_prompt() -> None:
    for version in prompts.versions():
        prompt = prompts.load(version)
        texts = [prompt.system, prompt.first_message(FACTS), prompt.rewrite_message(FACTS, ["it is wrong"])]
        assert not [text for text in texts if "{" in text.replace("{text}", "")], version


def test_a_value_that_looks_like_a_placeholder_is_left_as_it_is() -> None:
    facts = [Fact("Brand", "{problems}"), Fact("Fabric", "{facts}")]
    told = prompts.load("product_description@1").rewrite_message(facts, ["it is wrong"])
    assert "- Brand: {problems}\n- Fabric: {facts}\n</facts>" in told
    assert told.count("it is wrong") == 1


def test_the_tools_schema_asks_for_the_language_of_the_settings() -> None:
    tool = prompts.load("product_description@2", "en-US").tool
    assert tool is not None
    assert tool.schema["properties"]["language"]["enum"] == ["en-US"]
    assert set(tool.schema["required"]) == set(tool.schema["properties"])


def test_a_language_that_cannot_be_checked_is_refused_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_LANGUAGE", "fr-FR")
    with pytest.raises(ValidationError, match=r"can't be checked in the language 'fr-FR'.*en-GB, en-US"):
        Settings()
