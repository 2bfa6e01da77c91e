"""Prompt versions: a directory ``<name>@<version>`` each, named in every text that was written with it.

prompt.toml   settings of the call: ``max_tokens``, ``temperature`` (left out: not sent), ``cached`` (the system text
              is marked for the model's cache of prompts), ``[tool]`` (which takes the answer: name, description)
system.md     what the model is and which rules it keeps
user.md       the message that asks
rewrite.md    the message that asks again, for prompts whose answer may be mended
schema.json   JSON Schema of the tool's input, which is also what the answer is checked against
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lookbook.descriptions import languages
from lookbook.descriptions.facts import Fact
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

# How a fact's attribute is called in a prompt, where the catalogue's own word is not English prose.
SPOKEN = {"baseColour": "Colour"}

_VERSION = re.compile(r"[a-z_]+@[0-9]+")


@dataclass(frozen=True)
class Tool:
    """What a model must hand its answer to; ``schema`` is the JSON Schema of what it takes."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Prompt:
    """One prompt version in one language; ``sha256`` is that of its files, whatever the language."""

    version: str
    sha256: str
    language: str
    system: str
    user: str
    rewrite: str
    max_tokens: int
    temperature: float | None = None
    cached: bool = False
    tool: Tool | None = None

    def first_message(self, facts: Iterable[Fact]) -> str:
        """Return the user message that asks for a description of ``facts``."""
        return self.user.replace("{facts}", render_facts(facts))

    def rewrite_message(self, facts: Iterable[Fact], problems: Iterable[str]) -> str:
        """Return the user message that asks to mend a text's ``problems``; it states the facts again."""
        listed = "\n".join(f"- {problem}" for problem in problems)
        # The facts last: what they hold is never looked through for placeholders.
        return self.rewrite.replace("{problems}", listed).replace("{facts}", render_facts(facts))


def load(version: str | None = None, language: str | None = None) -> Prompt:
    """Return a prompt version with its rules in a language; without them, those of the settings.

    Raises:
        PermanentError: there is no such version, or no such language.
    """
    settings = get_settings()
    return _load(version or settings.prompt, language or settings.language)


@lru_cache(maxsize=16)
def _load(version: str, language: str) -> Prompt:
    directory = files(__package__) / version
    if not _VERSION.fullmatch(version) or not directory.is_dir():
        raise PermanentError(
            f"There is no prompt version {version!r} in include/lookbook/descriptions/prompts/. "
            f"There are: {', '.join(versions())}."
        )
    contents = {file.name: file.read_bytes() for file in directory.iterdir() if not file.name.startswith(".")}
    return _assembled(version, language, contents)


def versions() -> list[str]:
    """Return the names of all prompt versions."""
    return sorted(entry.name for entry in files(__package__).iterdir() if _VERSION.fullmatch(entry.name))


def _assembled(version: str, language: str, contents: Mapping[str, bytes]) -> Prompt:
    settings = tomllib.loads(contents["prompt.toml"].decode())
    named = {"{language_tag}": language, "{language}": languages.load(language).name}
    tool = _tool(settings.pop("tool"), contents, named) if "tool" in settings else None
    named |= {"{tool}": tool.name} if tool else {}
    return Prompt(
        version=version,
        sha256=_checksum(contents),
        language=language,
        system=_filled(contents, "system.md", named),
        user=_filled(contents, "user.md", named),
        rewrite=_filled(contents, "rewrite.md", named),
        tool=tool,
        **settings,
    )


def _tool(described: Mapping[str, str], contents: Mapping[str, bytes], named: Mapping[str, str]) -> Tool:
    return Tool(**described, schema=json.loads(_filled(contents, "schema.json", named)))


def _filled(contents: Mapping[str, bytes], name: str, values: Mapping[str, str]) -> str:
    """Return a file's text with its placeholders replaced; one that a prompt needn't have is empty."""
    text = contents.get(name, b"").decode().strip()
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def _checksum(contents: Mapping[str, bytes]) -> str:
    """Return one checksum of all files, their names included, whatever order they were found in."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(contents.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def render_facts(facts: Iterable[Fact]) -> str:
    """Return the block of facts: ``- <Name>: <Value>`` lines between ``<facts>`` and ``</facts>``.

    The values come sanitised from :func:`lookbook.descriptions.facts.merge`: none holds a line break or a bracket.
    """
    lines = [f"- {SPOKEN.get(fact.attribute, fact.attribute)}: {fact.value}" for fact in facts]
    return "\n".join(["<facts>", *lines, "</facts>"])
