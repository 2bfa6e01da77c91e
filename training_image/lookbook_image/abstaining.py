"""When the endpoint rather says nothing: thresholds that evaluation found, from the model's environment."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from lookbook_image.answering import Answer
from lookbook_image.errors import JobError

VARIABLE = "LOOKBOOK_THRESHOLDS"


@dataclass(frozen=True)
class Thresholds:
    """From which probability on an attribute's values are told; an attribute that isn't named is always told."""

    by_attribute: Mapping[str, float | None] = field(default_factory=dict)
    """``None``: this attribute's answers are never sure enough."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read LOOKBOOK_THRESHOLDS: a JSON object, attribute → number from 0 to 1, or null.

        Raises:
            JobError: it is something else. A container that guessed would tell what it mustn't.
        """
        text = environment.get(VARIABLE, "{}")
        try:
            thresholds = json.loads(text)
        except ValueError as error:
            raise JobError(f"{VARIABLE} isn't JSON ({error}): {text[:200]!r}. {_EXPECTED}") from error
        if not isinstance(thresholds, dict) or not all(map(_is_threshold, thresholds.values())):
            raise JobError(f"{VARIABLE}={text[:200]!r}. {_EXPECTED}")
        return cls(thresholds)

    def abstains(self, answer: Answer) -> bool:
        """Tell whether the value of ``answer`` must not be told."""
        if answer.value is None or answer.attribute not in self.by_attribute:
            return False
        threshold = self.by_attribute[answer.attribute]
        return threshold is None or answer.probability < threshold

    def apply(self, answer: Answer) -> Answer:
        """Return ``answer``, without its value if the model isn't sure enough of it."""
        return dataclasses.replace(answer, value=None) if self.abstains(answer) else answer


_EXPECTED = (
    'Expected an object of attribute to a probability from 0 to 1, or null, such as {"Fabric": 0.41, "Fit": null}.'
)


def _is_threshold(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and 0 <= value <= 1)  # type: ignore[operator]
