"""What a description may say of a product: facts, each with its source.

The catalogue wins. The attribute model fills in what the catalogue doesn't state, where it is sure enough; where it is
sure and contradicts the catalogue, the difference is kept for the people who look after the data
(:mod:`lookbook.descriptions.findings`). How sure each attribute's answers must be, its threshold, is settled where the
model answers (docs/decisions/0021-how-the-model-is-asked.md); here is a floor for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lookbook.descriptions.sanitising import fact_name, fact_value

Source = Literal["catalogue", "model"]

# Columns of catalog.products that are facts beside its attributes. The display name is not among them: it is free
# text that often contradicts the row (docs/decisions/0004-what-is-a-fact.md).
LEADING_COLUMNS = {"Article Type": "article_type", "Gender": "gender", "baseColour": "base_colour"}
TRAILING_COLUMNS = {"Usage": "usage", "Season": "season", "Brand": "brand"}

_NOT_STATED = {"", "na", "n/a", "none", "null", "nan", "undefined", "unknown", "other", "others", "-"}


@dataclass(frozen=True)
class Fact:
    """One attribute's value and who says so; ``probability`` is the model's, ``None`` for the catalogue."""

    attribute: str
    value: str
    source: Source = "catalogue"
    probability: float | None = None


@dataclass(frozen=True)
class Difference:
    """The model is sure of another value of an attribute than the catalogue's."""

    attribute: str
    catalogue_value: str
    model_value: str
    probability: float


@dataclass(frozen=True)
class Facts:
    """A product's facts in the order in which a prompt states them, and what the model sees otherwise."""

    facts: tuple[Fact, ...]
    differences: tuple[Difference, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return facts and differences as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Facts:
        """Return the facts that :meth:`as_dict` stored."""
        return cls(
            tuple(Fact(**fact) for fact in stored["facts"]),
            tuple(Difference(**difference) for difference in stored["differences"]),
        )


def merge(product: Mapping[str, Any], predictions: Iterable[Mapping[str, Any]], min_probability: float) -> Facts:
    """Merge what the catalogue states and what the model answered into a product's facts.

    Args:
        product: a row of ``catalog.products``.
        predictions: the product's rows of ``predictions.attributes`` (``attribute``, ``value``, ``probability``,
            ``threshold``); none when no model is in service. One without a value says nothing: the model was asked,
            and abstained.
        min_probability: a less probable answer says nothing either, 0 to 1, whatever its attribute's threshold.
    """
    stated = _catalogue_facts(product)
    filled, differences = [], []
    for attribute, value, probability in _sure_answers(predictions, min_probability):
        if attribute not in stated:
            filled.append(Fact(attribute, value, "model", probability))
        elif stated[attribute].value.casefold() != value.casefold():
            differences.append(Difference(attribute, stated[attribute].value, value, probability))
    return Facts(_in_order([*stated.values(), *filled]), tuple(differences))


def _catalogue_facts(product: Mapping[str, Any]) -> dict[str, Fact]:
    columns = LEADING_COLUMNS | TRAILING_COLUMNS
    named = {attribute: product.get(column) for attribute, column in columns.items()}
    # Attributes come last: baseColour among them is the normalised one.
    pairs = [*named.items(), *dict(product.get("attributes") or {}).items()]
    facts = (Fact(fact_name(attribute), fact_value(value)) for attribute, value in pairs)
    return {fact.attribute: fact for fact in facts if fact.attribute and _is_stated(fact.value)}


def _sure_answers(predictions: Iterable[Mapping[str, Any]], min_probability: float) -> Iterable[tuple[str, str, float]]:
    for row in predictions:
        attribute, value = fact_name(row["attribute"]), fact_value(row["value"])
        probability = float(row["probability"] or 0)
        if attribute and _is_stated(value) and probability >= max(row.get("threshold") or 0, min_probability):
            yield attribute, value, probability


def _is_stated(value: str) -> bool:
    return value.casefold() not in _NOT_STATED


def _in_order(facts: list[Fact]) -> tuple[Fact, ...]:
    """Put what kind of thing it is first and its brand last; the attributes between go by name."""
    leading, trailing = list(LEADING_COLUMNS), list(TRAILING_COLUMNS)

    def place(fact: Fact) -> tuple[int, int, str]:
        if fact.attribute in leading:
            return 0, leading.index(fact.attribute), ""
        if fact.attribute in trailing:
            return 2, trailing.index(fact.attribute), ""
        return 1, 0, fact.attribute

    return tuple(sorted(facts, key=place))
