"""A product's text as a model hands it to its tool: read, and held against the tool's schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, cast

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from lookbook.descriptions.texts import ProductText

_SPOKEN = {"bullet_points": "bullet points"}
_PARTS = tuple(field.name for field in fields(ProductText))


def read(given: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[ProductText | None, list[str]]:
    """Read a tool's input.

    Args:
        given: the input as the model gave it; anything may be in it.
        schema: the tool's JSON Schema; its limits are those of the text.

    Returns:
        The text, or ``None`` if a part is missing or of the wrong kind; and a line for each thing wrong with it.
    """
    cleaned = _on_one_line(given)
    errors = sorted(_validator(orjson.dumps(schema)).iter_errors(cleaned), key=lambda error: list(map(str, error.path)))
    shaped = not any(error.validator in ("type", "required") for error in errors)
    text = ProductText.from_dict({part: cleaned[part] for part in _PARTS}) if shaped else None
    return text, [line for error in errors for line in _in_words(error)]


@lru_cache(maxsize=8)
def _validator(schema: bytes) -> Draft202012Validator:
    return Draft202012Validator(orjson.loads(schema))


def _on_one_line(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, Mapping):
        return {name: _on_one_line(entry) for name, entry in value.items()}
    return [_on_one_line(entry) for entry in value] if isinstance(value, list) else value


def _in_words(error: ValidationError) -> Iterator[str]:
    """Say what is wrong without repeating what the model wrote, which may be long and may be anything."""
    part = _SPOKEN.get(name := str(error.path[0]), name) if error.path else "text"
    one = f"one of its {part}" if len(error.path) > 1 else f"its {part}"
    # Typed as unset or anything, and always set in an error that iter_errors gives.
    limit, value = cast("Any", error.validator_value), cast("Any", error.instance)
    match error.validator:
        case "required":
            yield from (f"it has no {_SPOKEN.get(name, name)}" for name in limit if name not in value)
        case "maxLength":
            yield f"{one} has {len(value)} characters, and {limit} are allowed"
        case "minLength":
            yield f"{one} has {len(value)} characters, and {limit} are the least"
        case "maxItems":
            yield f"it has {len(value)} {part}, and {limit} are allowed"
        case "minItems":
            yield f"it has {len(value)} {part}, and {limit} are the least"
        case "enum":
            yield f"{one} is none of: {', '.join(map(str, limit))}"
        case "type":
            yield f"{one} is no {limit}"
        case _:
            yield f"{one} breaks the schema's rule {error.validator}"
