"""Descriptions that a model helped to write which was taken back since, or whose drop or picture was wrong.

Their rows stay, with status ``stale`` and the reason: whoever reads published descriptions no longer finds them, and
the next run for their drop writes them anew, since only published ones count as done.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import And, BooleanExpression

from lookbook.catalog import tables
from lookbook.catalog.schemas import DESCRIPTIONS
from lookbook.descriptions import work
from lookbook.descriptions.plans import Plan
from lookbook.lineage import records
from lookbook.training import registry

log = logging.getLogger(__name__)

_TABLE = "descriptions.descriptions"


@dataclass(frozen=True)
class Stale:
    """How many published descriptions became stale, and the drops to describe anew; ``of`` is what was wrong."""

    of: str
    descriptions: int
    drops: list[str]

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def mark_stale(model_version: str, why: str) -> Stale:
    """Mark every published description stale in which an answer of this model was used; done twice, it does nothing.

    No run of ``describe_products`` may publish meanwhile: the DAG's task holds the pool of those that do.

    Args:
        model_version: as the rows state it: ``v3``.
        why: becomes the rows' only reason.
    """
    return _mark(tables.equals("attribute_model_version", model_version), f"model {model_version}", why)


def mark_drop_stale(drop_id: str, why: str) -> Stale:
    """Mark every published description of a drop stale; as :func:`mark_stale` does those of a model."""
    return _mark(tables.equals("drop_id", drop_id), f"drop {drop_id}", why)


def mark_picture_stale(picture_sha256: str, why: str) -> Stale:
    """Mark every published description of a product with a picture stale; as :func:`mark_stale` does those of a model.

    Args:
        picture_sha256: of the picture, whichever products and drops have it.
        why: becomes the rows' only reason.
    """
    return _mark(tables.equals("picture_sha256", picture_sha256), f"picture {picture_sha256}", why)


def _mark(wrong: BooleanExpression, of: str, why: str) -> Stale:
    published = And(wrong, tables.equals("status", "published"))
    rows = tables.read(_TABLE, published)
    drops = sorted(pc.unique(rows["drop_id"]).to_pylist())
    if len(rows):
        rows = _with(rows, "status", ["stale"] * len(rows))
        tables.replace(_TABLE, _with(rows, "reasons", [[why]] * len(rows)), published)
    records.counts(stale=len(rows))
    log.info("%d descriptions of %s are stale, in drops: %s", len(rows), of, ", ".join(drops) or "–")
    return Stale(of, len(rows), drops)


def stale_drops() -> dict[str, int]:
    """Return the drops with products whose description is missing or was written from another input, and how many.

    Compared are catalogue, prompt, settings, and the answers that the model in service has given so far. A model that
    was put in service since has given none yet: the drops that its predecessor helped to describe count as stale until
    it was asked, and what comes out the same is then left as it is. Withheld and failed ones are not among them.
    """
    serving, snapshot = registry.in_service(), tables.current_snapshot("catalog.products")
    drops = pc.unique(tables.read("catalog.products", columns=("drop_id",), snapshot=snapshot)["drop_id"])
    found: dict[str, int] = {}
    for drop_id in sorted(drops.to_pylist()):
        left = work.left_of(Plan("", drop_id, "", snapshot, ()), serving.version if serving else None)
        if stale := len(left.todo) - left.settled:
            found[drop_id] = stale
    log.info("%d descriptions are missing or stale, in %d drops.", sum(found.values()), len(found))
    return found


def _with(rows: pa.Table, column: str, values: Sequence[Any]) -> pa.Table:
    place = rows.column_names.index(column)
    return rows.set_column(place, column, pa.array(values, DESCRIPTIONS.field(column).type))
