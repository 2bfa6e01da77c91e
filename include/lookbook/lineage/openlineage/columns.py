"""Which columns come from which: OpenLineage's column lineage, from what ``datasets.toml`` says once.

Datasets have **roles** there: a table's name, ``candidates``, ``validation``, ``styles.csv`` … Which dataset plays a
role is a matter of the task: ``drops/2026-11-16/styles.csv`` in one run, that of another drop in the next.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from openlineage.client.generated.column_lineage_dataset import (
    ColumnLineageDatasetFacet,
    Fields,
    InputField,
    Transformation,
)

from lookbook.lineage.openlineage.facets import producer
from lookbook.lineage.openlineage.naming import AUDIT, Identity, table

_ALL = "*"
_CANDIDATES, _VALIDATION = "candidates", "validation"
_ROLES_OF_FILES = {"candidates.parquet": _CANDIDATES, "validation.json": _VALIDATION}


@cache
def facts() -> dict[str, Any]:
    """Return what ``datasets.toml`` says."""
    text = resources.files("lookbook.lineage.openlineage").joinpath("datasets.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def role(name: str) -> str | None:
    """Return the role that a dataset of this name plays; ``None`` for one that no column comes from or goes to.

    Args:
        name: an OpenLineage name: ``catalog.products``, ``drops/2026-11-16/styles.csv`` …
    """
    last = name.rpartition("/")[2]
    if name.startswith("drops/"):
        return last if last in facts()["sources"] else None
    known = _ROLES_OF_FILES.get(last, name)
    return known if known.removesuffix(f"@{AUDIT}") in facts()["columns"] or known == _VALIDATION else None


def lineage(output: Identity, columns: Iterable[str], inputs: Iterable[Identity]) -> ColumnLineageDatasetFacet | None:
    """Return where an output's columns come from; ``None`` where nothing is known of it.

    A table that columns come from need not be among the task's inputs: its rows may have reached the task through a
    plan, and it has but one name. A file must be among them.

    Args:
        output: the dataset that the task wrote.
        columns: of the output, as it has them now.
        inputs: the datasets that the task read.
    """
    target = role(output.name)
    if target is None:
        return None
    players = {known: one for one in inputs if (known := role(one.name)) is not None}
    names = list(columns)
    passed_on = _passed_on(target.removesuffix(f"@{AUDIT}"), names, players)
    fields = passed_on | _made_of(target.removesuffix(f"@{AUDIT}"), names, players)
    return ColumnLineageDatasetFacet(fields=fields, producer=producer()) if fields else None


def _passed_on(target: str, columns: list[str], players: Mapping[str, Identity]) -> dict[str, Fields]:
    """Return the columns that come unchanged from a dataset of the same columns that the task read."""
    for rule in facts()["same"]:
        if rule["to"] == target and (source := players.get(rule["from"])):
            given = set(columns_of(rule["from"]))
            return {one: Fields([_field(source, one, _direct("IDENTITY"))]) for one in columns if one in given}
    return {}


def _made_of(target: str, columns: list[str], players: Mapping[str, Identity]) -> dict[str, Fields]:
    """Return the columns that are made of other columns, of those datasets whose names are known here."""
    stated = facts()["columns"].get(target, {})
    found = {one: list(_sources(stated[one], players)) for one in columns if isinstance(stated.get(one), dict)}
    return {one: Fields(fields) for one, fields in found.items() if fields}


def _sources(rule: Mapping[str, Any], players: Mapping[str, Identity]) -> Iterator[InputField]:
    how = _how(rule)
    for source in rule["from"]:
        player, _, column = source.partition(":")
        identity = players.get(player) or (table(player) if _is_table(player) else None)
        if identity:
            every = facts()["sources"][player] if column == _ALL else [column]
            yield from (_field(identity, one, how) for one in every)


def _how(rule: Mapping[str, Any]) -> Transformation:
    if rule.get("indirectly"):
        return Transformation("INDIRECT", "CONDITIONAL", rule["does"], masking=False)
    return _direct("TRANSFORMATION" if "does" in rule else "IDENTITY", rule.get("does"))


def _direct(subtype: str, does: str | None = None) -> Transformation:
    return Transformation("DIRECT", subtype, does, masking=False)


def _field(source: Identity, column: str, how: Transformation) -> InputField:
    return InputField(source.namespace, source.name, column, [how])


def _is_table(player: str) -> bool:
    return player in facts()["columns"] and player != _CANDIDATES


def columns_of(player: str) -> list[str]:
    """Return the columns that a role's dataset has: of a table or of the candidates by schema, of a file as stated."""
    from lookbook.catalog.schemas import CANDIDATES, TABLES

    if player in facts()["sources"]:
        return list(facts()["sources"][player])
    schema = CANDIDATES if player == _CANDIDATES else TABLES[player.removesuffix(f"@{AUDIT}")]
    return list(schema.names)
