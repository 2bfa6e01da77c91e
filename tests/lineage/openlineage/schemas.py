"""OpenLineage's JSON schemas, and whether an event keeps to them.

The official Python client's classes are generated from the schemas that the specification publishes (of core 2-0-2,
and of each facet the version that an event's ``_schemaURL`` names). Here they are turned back into schemas: every
property with its type, what is required, formats. Enumerations that the specification has only in prose are lost, and
so are its words. Lookbook's own facets have their own files; Airflow's provider sends its facets as plain ones.

Nothing is fetched: a facet whose ``_schemaURL`` names a schema that isn't here is an error.
"""

from __future__ import annotations

import enum
import importlib
import json
import pkgutil
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any

import attr
import openlineage.client.generated as generated
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from lookbook.lineage.openlineage import facets

CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
OWN = Path(facets.__file__).parent / "schemas"
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
_FORMATS = {
    **dict.fromkeys(("producer", "schemaURL", "_producer", "_schemaURL"), "uri"),
    **dict.fromkeys(("eventTime", "nominalStartTime", "nominalEndTime", "lastUpdated"), "date-time"),
    "runId": "uuid",
}


def problems(event: dict[str, Any]) -> list[str]:
    """Return what is wrong with a run event: with the event itself, and with each facet by the schema that it names."""
    found = [_said(error) for error in _validator(f"{CORE}#/$defs/RunEvent").iter_errors(event)]
    for where, facet in every_facet(event):
        try:
            found += [f"{where}: {_said(error)}" for error in _validator(facet["_schemaURL"]).iter_errors(facet)]
        except Unresolvable:
            found.append(f"{where}: there is no schema {facet.get('_schemaURL')}")
    return found


def every_facet(event: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return every facet of an event with where it is."""
    holders = [("run", event["run"], "facets"), ("job", event["job"], "facets")]
    for side in ("inputs", "outputs"):
        for dataset in event.get(side, []):
            name = f"{side} {dataset['name']}"
            holders += [(name, dataset, key) for key in ("facets", "inputFacets", "outputFacets")]
    return [
        (f"{where} {name}", facet) for where, holder, key in holders for name, facet in (holder.get(key) or {}).items()
    ]


def _said(error: Any) -> str:
    return f"{'/'.join(str(step) for step in error.absolute_path)}: {error.message[:200]}"


@cache
def _validator(url: str) -> Draft202012Validator:
    registry = _registry()
    registry.resolver().lookup(url)
    return Draft202012Validator({"$ref": url}, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER)


@cache
def _registry() -> Registry:
    """Return all schemas by address; of Lookbook's own the address begins with ``LOOKBOOK_SOURCE_URL``."""
    documents: dict[str, dict[str, Any]] = {}
    for published in _published():
        address, _, pointer = published._get_schema().partition("#/$defs/")
        documents.setdefault(address, {"$id": address, "$defs": {}})["$defs"][pointer] = _schema_of(published)
    for file in OWN.glob("*.json"):
        address = facets._schema(file.stem).partition("#")[0]
        documents[address] = json.loads(file.read_text())
    resources = [(address, DRAFT202012.create_resource(document)) for address, document in documents.items()]
    return Registry().with_resources(resources)


def _published() -> list[type[Any]]:
    """Return the client's classes that have a schema with an address of their own."""
    modules = [
        importlib.import_module(one.name)
        for one in pkgutil.iter_modules(generated.__path__, "openlineage.client.generated.")
    ]
    return [
        one
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type) and one.__module__ == module.__name__ and "_get_schema" in vars(one)
    ]


def _schema_of(described: type[Any]) -> dict[str, Any]:
    """Return the schema of an object of a class of the client."""
    hints = typing.get_type_hints(described, include_extras=False)
    fields = attr.fields(described)
    return {
        "type": "object",
        "properties": {field.name: _property(field.name, hints[field.name]) for field in fields},
        "required": [field.name for field in fields if _is_required(field)],
    }


def _is_required(field: Any) -> bool:
    """Return whether a field must be there; the client gives those that say who and by which schema a default."""
    return field.default is attr.NOTHING or field.name in ("producer", "schemaURL", "_producer", "_schemaURL")


def _property(name: str, hint: Any) -> dict[str, Any]:
    schema = _of_type(hint)
    return schema | {"format": _FORMATS[name]} if name in _FORMATS and schema.get("type") == "string" else schema


def _of_type(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        present = [_of_type(one) for one in arguments if one is not type(None)]  # what is None isn't sent
        return present[0] if len(present) == 1 else {"anyOf": present}
    if origin is list:
        return {"type": "array", "items": _of_type(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of_type(arguments[1])}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [one.value for one in hint]}
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if "_get_schema" in vars(hint):
        return {"$ref": hint._get_schema()}
    return _schema_of(hint) if attr.has(hint) else {}
