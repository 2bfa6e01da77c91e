"""What the local writer gives to a tool: a product's text in the parts that the tool's schema asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_aws.bedrock.conversation import Tool
from local_aws.bedrock.prose import REFUSAL, Fact, compose, heading
from local_aws.errors import unsupported

LANGUAGE = "en-GB"

Json = Mapping[str, Any]


def fill(tool: Tool, facts: Sequence[Fact], seed: str) -> dict[str, Any]:
    """Return a tool's input: those of its properties that the writer knows, from the facts alone.

    Args:
        tool: its schema's properties may be title, description, bullet_points, keywords and language; their
            ``maxLength``, ``maxItems`` and ``enum`` are kept to.
        facts: names and values.
        seed: decides the phrasing.

    Raises:
        AwsError: ValidationException: the schema requires something else.
    """
    properties: Mapping[str, Json] = tool.schema.get("properties", {})
    if strange := [name for name in tool.schema.get("required", ()) if name not in _PARTS]:
        raise unsupported(f"The tool {tool.name!r}: the local writer can't write {', '.join(strange)}; it")
    return {name: _PARTS[name](schema, facts, seed) for name, schema in properties.items() if name in _PARTS}


def _title(schema: Json, facts: Sequence[Fact], seed: str) -> str:
    return _cut(heading(facts) or REFUSAL, schema)


def _description(schema: Json, facts: Sequence[Fact], seed: str) -> str:
    return _cut(compose(facts, seed), schema)


def _bullet_points(schema: Json, facts: Sequence[Fact], seed: str) -> list[str]:
    return _items([f"{name}: {value}" for name, value in facts], schema)


def _keywords(schema: Json, facts: Sequence[Fact], seed: str) -> list[str]:
    return _items(list(dict.fromkeys(value.lower() for _, value in facts)), schema)


def _language(schema: Json, facts: Sequence[Fact], seed: str) -> str:
    """Say what the text is in: English, whatever was asked for."""
    allowed = schema.get("enum") or [LANGUAGE]
    return LANGUAGE if LANGUAGE in allowed else next((tag for tag in allowed if str(tag).startswith("en")), LANGUAGE)


def _items(items: list[str], schema: Json) -> list[str]:
    return [_cut(item, schema.get("items", {})) for item in items[: schema.get("maxItems")]]


def _cut(text: str, schema: Json) -> str:
    """Shorten a text to the schema's length, between words where it can be."""
    longest = schema.get("maxLength")
    if longest is None or len(text) <= longest:
        return text
    return text[: longest + 1].rpartition(" ")[0] or text[:longest]


_PARTS: Mapping[str, Callable[[Json, Sequence[Fact], str], Any]] = {
    "title": _title,
    "description": _description,
    "bullet_points": _bullet_points,
    "keywords": _keywords,
    "language": _language,
}
