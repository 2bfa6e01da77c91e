"""What a run was started for. It describes one drop; for products of several, it starts a run for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from lookbook.catalog import tables
from lookbook.descriptions import staleness
from lookbook.descriptions.plans import Redrive, statuses_of
from lookbook.errors import PermanentError


@dataclass(frozen=True)
class Asked:
    """A run's drop and parameters."""

    drop_id: str | None
    product_ids: tuple[str, ...] = ()
    stale: bool = False
    redrive: Redrive = "none"
    mode: str = "auto"

    @classmethod
    def of(cls, drop_id: str | None, params: Mapping[str, Any]) -> Asked:
        """Return what a run of the DAG was started for."""
        chosen = {name: params[name] for name in ("stale", "redrive", "mode")}
        return cls(drop_id, tuple(params["product_ids"]), **chosen)

    @property
    def everywhere(self) -> bool:
        """Whether it is about whichever drops have such products."""
        return not self.drop_id and not self.product_ids and (self.stale or self.redrive != "none")


def runs_of(asked: Asked, run_key: str) -> list[dict[str, Any]]:
    """Return the runs to start in this one's place, each with its id and its parameters; none if this one will do.

    Args:
        asked: what this run was started for.
        run_key: this run's id. The others' are made of it: cleared, it starts none twice.

    Raises:
        PermanentError: a product is not in the catalogue.
    """
    drops = _drops(asked)
    if not asked.everywhere and len(drops) < 2:
        return []
    common = {"redrive": asked.redrive, "mode": asked.mode}
    return [
        {"trigger_run_id": f"{run_key}__{drop_id}", "conf": {"drop": drop_id, "product_ids": ids, **common}}
        for drop_id, ids in sorted(drops.items(), reverse=True)
    ]


def newest_drops(only: Sequence[str], snapshot: str | None = None) -> dict[str, list[str]]:
    """Return the drops in which products came last, each with those of its products; unknown ids are left out."""
    rows = tables.read("catalog.products", tables.one_of("product_id", only), ("drop_id", "product_id"), snapshot)
    newest: dict[str, str] = {}
    for row in rows.to_pylist():
        newest[row["product_id"]] = max(row["drop_id"], newest.get(row["product_id"], ""))
    drops: dict[str, list[str]] = {}
    for product_id, drop_id in sorted(newest.items()):
        drops.setdefault(drop_id, []).append(product_id)
    return drops


def _drops(asked: Asked) -> dict[str, list[str]]:
    """Return the drops that a run without one is about, each with the products asked for; no product: all of them."""
    if asked.drop_id:
        return {}
    if asked.product_ids:
        return _found(asked.product_ids)
    if asked.stale:
        return {drop_id: [] for drop_id in staleness.stale_drops()}
    return {drop_id: [] for drop_id in _with_status(asked.redrive)}


def _found(only: Sequence[str]) -> dict[str, list[str]]:
    drops = newest_drops(only)
    if missing := sorted(set(only).difference(*drops.values())):
        raise PermanentError(
            f"No drop in the catalogue has product {', '.join(missing[:5])} ({len(missing)} of {len(only)} ids). "
            "Ingest their drop, or correct the ids."
        )
    return drops


def _with_status(redrive: Redrive) -> list[str]:
    rows = tables.read("descriptions.descriptions", tables.one_of("status", statuses_of(redrive)), ("drop_id",))
    drops: list[str] = pc.unique(rows["drop_id"]).to_pylist()
    return drops
