"""The languages in which texts can be asked for: those that the faithfulness check can read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from lookbook.errors import PermanentError


@dataclass(frozen=True)
class Language:
    """A language by its BCP 47 tag, with its name in English as a prompt says it."""

    tag: str
    name: str

    @property
    def code(self) -> str:
        """The ISO 639-1 code, which the tag begins with."""
        return self.tag.partition("-")[0]


@lru_cache(maxsize=8)
def load(tag: str) -> Language:
    """Return the language of a tag such as ``en-GB``.

    Raises:
        PermanentError: there are no words for it to check a text with.
    """
    known = tomllib.loads((files(__package__) / "languages.toml").read_text(encoding="utf-8"))
    if tag not in known:
        raise PermanentError(
            f"Descriptions can't be checked in the language {tag!r}: there is a lexicon for {', '.join(known)} alone. "
            "docs/descriptions.md says what another one needs."
        )
    return Language(tag, **known[tag])
