"""Which attribute values mean the same: a versioned file, and the normalisation that it stands for."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from lookbook.drops.lines import normalise_space

CURRENT = "v1"
BASE_COLOUR = "baseColour"


@dataclass(frozen=True)
class Vocabulary:
    """The attributes that the platform speaks of, their values, and what else sellers write for them."""

    version: str
    values: Mapping[str, tuple[str, ...]]  # by attribute
    absent: frozenset[str]  # case-folded
    _known: Mapping[str, Mapping[str, str]]  # by attribute: case-folded value or synonym → value

    @property
    def attributes(self) -> tuple[str, ...]:
        """Return the attributes' names, ``baseColour`` among them."""
        return tuple(self.values)

    def value(self, attribute: str, raw: str) -> str | None:
        """Return a value as the platform says it, ``None`` when ``raw`` states nothing.

        A value that the vocabulary does not know is kept as it is: validation warns of it.
        """
        clean = normalise_space(raw)
        if clean.casefold() in self.absent:
            return None
        return self._known.get(attribute, {}).get(clean.casefold(), clean)

    def knows(self, attribute: str, value: str) -> bool:
        """Return whether ``value`` is one of the attribute's values."""
        return value in self.values.get(attribute, ())

    def normalise(self, raw: Mapping[str, str]) -> dict[str, str]:
        """Return the attributes that the vocabulary speaks of and ``raw`` states, in the vocabulary's order."""
        stated = {name: self.value(name, raw[name]) for name in self.values if name in raw}
        return {name: value for name, value in stated.items() if value is not None}


@lru_cache(maxsize=4)
def load(version: str = CURRENT) -> Vocabulary:
    """Return a version of the vocabulary.

    Raises:
        FileNotFoundError: there is no such version.
    """
    text = resources.files("lookbook.drops").joinpath("vocabularies", f"{version}.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    attributes = content["attributes"]
    known = {
        name: {value.casefold(): value for value in entry["values"]}
        | {synonym.casefold(): value for synonym, value in entry["synonyms"].items()}
        for name, entry in attributes.items()
    }
    return Vocabulary(
        version=content["version"],
        values={name: tuple(entry["values"]) for name, entry in attributes.items()},
        absent=frozenset(value.casefold() for value in content["absent"]),
        _known=known,
    )
