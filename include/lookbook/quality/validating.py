"""Decide which rows of a drop are fit to publish, and whether the drop is."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lookbook import storage
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.quality.data_docs import store
from lookbook.settings import get_settings

if TYPE_CHECKING:
    import pandas as pd

    from lookbook.quality.checkpoint import Outcome

logger = logging.getLogger(__name__)

SUITE = "v1"
VALIDATION_FORMAT = 1


@dataclass(frozen=True)
class Validation:
    """What validation decided: rows rejected, why (reason code → rows) and what it only warns of."""

    uri: str
    drop_id: str
    rows: int
    rejected: int
    suite: str
    data_docs_uri: str
    reasons: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Validation(**reference)`` restores it."""
        return asdict(self)


def validate(
    candidates_uri: str, *, max_rejected_share: float | None = None, task_url: str | None = None
) -> Validation:
    """Check a drop's candidates; write ``validation.json`` beside them and the Data Docs of the drop.

    Both are written for a refused drop too, so that one can look at what is wrong with it.

    Args:
        candidates_uri: Parquet of the drop's candidates, in its folder of ``staging/``.
        max_rejected_share: how much of the drop may be rejected (0 to 1); ``None``: as much as the settings allow.
        task_url: where the Data Docs link back to.

    Raises:
        PermanentError: the drop is refused: an expectation about the whole drop is not met, or more than
            ``max_rejected_share`` of its rows are rejected. The message gives the counts by reason.
    """
    # It tells of hundreds of its own registrations while it is imported.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    from lookbook.quality import checkpoint, drift, frame
    from lookbook.quality.data_docs import site

    candidates = pq.read_table(pa.BufferReader(records.read_object(candidates_uri)), columns=frame.COLUMNS)
    drop_id, run_name = candidates_uri.split("/")[-3:-1]
    table = frame.build(candidates)
    earlier = drift.earlier_shares(drop_id, len(table))
    with tempfile.TemporaryDirectory() as directory:
        pages = site.config(Path(directory), task_url)
        checked = checkpoint.run(table, drop_id, run_name, pages, earlier.shares)
        docs_uri = store.publish(Path(directory), drop_id)
    most = get_settings().max_rejected_share if max_rejected_share is None else max_rejected_share
    verdict = _verdict(table, checked.outcomes, drop_id, most) | {"drift": earlier.says}
    uri = f"{candidates_uri.rpartition('/')[0]}/validation.json"
    stored = storage.write_json(uri, verdict | {"data_docs_uri": docs_uri})
    records.writes_object(stored)
    records.writes("validation", SUITE, checked.result_id, partition=drop_id, checksum=stored.sha256)
    records.details(max_rejected_share=f"{most:g}")
    return _report(verdict, uri, docs_uri)


def _verdict(table: pd.DataFrame, outcomes: list[Outcome], drop_id: str, most: float) -> dict[str, Any]:
    """Return the content of ``validation.json``."""
    reasons: dict[int, list[tuple[str, str]]] = {}
    for outcome in _failed(outcomes, "reject_row"):
        for position, code, detail in _codes(table, outcome):
            reasons.setdefault(position, []).append((code, detail))
    warnings: Counter[str] = Counter()
    for outcome in _failed(outcomes, "warn"):
        # What is odd about the drop as a whole counts once: no row of it is to blame.
        warnings.update([code for _, code, _ in _codes(table, outcome)] or [outcome.meta["code"]])
    return {
        "format": VALIDATION_FORMAT,
        "suite": SUITE,
        "drop_id": drop_id,
        "rows": len(table),
        "rejected": [
            {
                "position": position,
                "reasons": [c for c, _ in found],
                "detail": "; ".join(dict.fromkeys(d for _, d in found)),
            }
            for position, found in sorted(reasons.items())
        ],
        "reasons": dict(Counter(code for found in reasons.values() for code, _ in found)),
        "warnings": dict(warnings),
        "refused": _refusals(outcomes, len(reasons), len(table), most),
        "expectations": [_told(outcome) for outcome in outcomes],
    }


def _told(outcome: Outcome) -> dict[str, Any]:
    """Return what an expectation found as JSON values; ``rows`` is how many fail it."""
    meta = outcome.meta
    return {
        "expectation": outcome.expectation,
        "column": outcome.column,
        "code": meta.get("code") or meta["code_from"],
        "severity": meta["severity"],
        "says": meta["says"],
        "met": outcome.met,
        "rows": len(outcome.positions),
    }


def _failed(outcomes: list[Outcome], severity: str) -> list[Outcome]:
    return [outcome for outcome in outcomes if not outcome.met and outcome.meta["severity"] == severity]


def _codes(table: pd.DataFrame, outcome: Outcome) -> Iterable[tuple[int, str, str]]:
    """Yield position, reason code and detail of each row that fails an expectation."""
    says, column = outcome.meta["says"], outcome.meta.get("code_from")
    for position in outcome.positions:
        if column is None:
            yield position, outcome.meta["code"], says
        else:
            detail = table["problem_detail"].iloc[position]
            yield position, str(table[column].iloc[position]), f"{says}: {detail}" if isinstance(detail, str) else says


def _refusals(outcomes: list[Outcome], rejected: int, rows: int, most: float) -> list[str]:
    refusals = [f"{outcome.meta['code']}: {outcome.meta['says']}" for outcome in _failed(outcomes, "reject_drop")]
    if rows and rejected / rows > most:
        refusals.append(f"{rejected} of {rows} rows ({rejected / rows:.1%}) are rejected, at most {most:.1%} may be")
    return refusals


def _report(verdict: dict[str, Any], uri: str, docs_uri: str) -> Validation:
    drop_id, rows, rejected = verdict["drop_id"], verdict["rows"], len(verdict["rejected"])
    counts = ", ".join(f"{code} {number}" for code, number in sorted(verdict["reasons"].items())) or "none"
    records.counts(rows=rows, rejected=rejected, **verdict["reasons"])
    records.details(suite=SUITE, data_docs=docs_uri, drift=verdict["drift"])
    logger.info(
        "drop %s: %d of %d rows rejected (%s); warnings %s", drop_id, rejected, rows, counts, verdict["warnings"]
    )
    if verdict["refused"]:
        raise PermanentError(
            f"Drop {drop_id} is refused: {'; '.join(verdict['refused'])}. Rejected rows by reason: {counts}. Nothing "
            f"was published. See {docs_uri}, mend the drop and upload it again, or run it with a higher "
            "max_rejected_share (the parameter, or LOOKBOOK_MAX_REJECTED_SHARE for every drop)."
        )
    return Validation(
        uri, drop_id, rows, rejected, SUITE, docs_uri, dict(verdict["reasons"]), dict(verdict["warnings"])
    )
