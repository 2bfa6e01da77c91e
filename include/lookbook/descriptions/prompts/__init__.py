"""Prompt versions: one TOML file each, named in every description that was written with it."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from lookbook.descriptions.facts import Fact
from lookbook.errors import PermanentError

CURRENT = "v1"

# How a fact's attribute is called in a prompt, where the catalogue's own word is not English prose.
SPOKEN = {"baseColour": "Colour"}


@dataclass(frozen=True)
class Prompt:
    """One prompt version; ``sha256`` is that of its file, settings of the call included."""

    version: str
    sha256: str
    system: str
    user: str
    rewrite: str
    max_tokens: int
    temperature: float

    def first_message(self, facts: Iterable[Fact]) -> str:
        """Return the user message that asks for a description of ``facts``."""
        return self.user.replace("{facts}", render_facts(facts))

    def rewrite_message(self, facts: Iterable[Fact], problems: Iterable[str]) -> str:
        """Return the user message that asks to mend a text's ``problems``; it states the facts again."""
        listed = "\n".join(f"- {problem}" for problem in problems)
        # The facts last: what they hold is never looked through for placeholders.
        return self.rewrite.replace("{problems}", listed).replace("{facts}", render_facts(facts))


@lru_cache(maxsize=8)
def load(version: str = CURRENT) -> Prompt:
    """Return a prompt version.

    Raises:
        PermanentError: there is no such version.
    """
    file = files(__package__) / f"{version}.toml"
    if not file.is_file():
        raise PermanentError(f"There is no prompt version {version!r} in include/lookbook/descriptions/prompts/.")
    content = file.read_bytes()
    fields = tomllib.loads(content.decode())
    texts = {name: fields.pop(name).strip() for name in ("system", "user", "rewrite")}
    return Prompt(sha256=hashlib.sha256(content).hexdigest(), **texts, **fields)


def render_facts(facts: Iterable[Fact]) -> str:
    """Return the block of facts: ``- <Name>: <Value>`` lines between ``<facts>`` and ``</facts>``.

    The values come sanitised from :func:`lookbook.descriptions.facts.merge`: none holds a line break or a bracket.
    """
    lines = [f"- {SPOKEN.get(fact.attribute, fact.attribute)}: {fact.value}" for fact in facts]
    return "\n".join(["<facts>", *lines, "</facts>"])
