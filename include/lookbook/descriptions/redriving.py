"""What of a drop has no description because it was withheld or failed."""

from __future__ import annotations

from collections import Counter

from pyiceberg.expressions import And

from lookbook.catalog import tables
from lookbook.descriptions.plans import Redrive, statuses_of


def waiting(drop_id: str, redrive: Redrive) -> Counter[tuple[str, str]]:
    """Return how many of a drop's products a redrive would ask about again, by status and first reason."""
    of_status = And(tables.equals("drop_id", drop_id), tables.one_of("status", statuses_of(redrive)))
    rows = tables.read("descriptions.descriptions", of_status, ("status", "reasons")).to_pylist()
    return Counter((row["status"], (row["reasons"] or ["no reason given"])[0]) for row in rows)
