"""Judge a drop's quarantined rows again without reading its files: the candidates of its last ingest are still there.

What a row is made from does not change by this. What may have changed since is how it is judged, the suite, and what
its words mean, the vocabulary: both are applied anew to the whole drop, so that one drop is judged by one rule.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lookbook import storage
from lookbook.catalog import ingests
from lookbook.drops import vocabulary
from lookbook.drops.vocabulary import BASE_COLOUR
from lookbook.errors import PermanentError
from lookbook.lineage import records

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Requeued:
    """A drop's candidates, ready to be validated again, and the verdict that stands so far."""

    uri: str
    drop_id: str
    rows: int
    requeued: int
    reason: str | None
    verdict_uri: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Requeued(**reference)`` restores it."""
        return asdict(self)


def requeue(drop_id: str, run_id: str, reason: str | None = None) -> Requeued:
    """Put the candidates of a drop's last ingest where this run validates them, in the words of today's vocabulary.

    Args:
        drop_id: the drop's Monday.
        run_id: the run that asks; a second call for it leaves what one leaves.
        reason: only rows quarantined for this reason code are judged again; ``None`` means every quarantined row.

    Raises:
        PermanentError: the drop was never published, or none of its rows is in quarantine (for that reason).
    """
    ingest = ingests.last(drop_id)
    if ingest is None:
        raise PermanentError(f"The catalogue holds no drop {drop_id}: there is nothing to requeue. Ingest it first.")
    rejected = storage.read_json(ingest.validation_uri)["rejected"]
    chosen = [row for row in rejected if reason is None or reason in row["reasons"]]
    if not chosen:
        counts = Counter(code for row in rejected for code in row["reasons"])
        held = ", ".join(f"{code} {number}" for code, number in sorted(counts.items())) or "no row at all"
        raise PermanentError(
            f"No row of drop {drop_id} is in quarantine for {reason or 'any reason'}. It holds: {held}."
        )
    candidates = _renormalised(pq.read_table(pa.BufferReader(storage.read_bytes(ingest.candidates_uri))))
    stored = storage.write_bytes(_candidates_uri(ingest, run_id), _parquet(candidates))
    records.reads("object", ingest.candidates_uri, _etag(ingest.candidates_uri))
    records.reads("object", ingest.validation_uri, _etag(ingest.validation_uri))
    records.writes_object(stored)
    records.counts(rows=len(candidates), requeued=len(chosen))
    logger.info("drop %s: %d of %d quarantined rows are judged again", drop_id, len(chosen), len(rejected))
    return Requeued(stored.uri, drop_id, len(candidates), len(chosen), reason, ingest.validation_uri)


def keep_others(requeued: Requeued, validation_uri: str) -> str:
    """Return the verdict to publish: the new one, but rows quarantined for other reasons than the one asked for stay.

    Without a reason that is the new verdict itself. Otherwise the merged verdict is written beside it.
    """
    if requeued.reason is None:
        return validation_uri
    new, old = storage.read_json(validation_uri), storage.read_json(requeued.verdict_uri)
    staying = {row["position"]: row for row in old["rejected"] if requeued.reason not in row["reasons"]}
    rejected = {row["position"]: row for row in new["rejected"]} | staying
    merged = new | {"rejected": [row for _, row in sorted(rejected.items())]}
    merged["reasons"] = dict(Counter(code for row in merged["rejected"] for code in row["reasons"]))
    stored = storage.write_json(f"{validation_uri.rpartition('/')[0]}/requeued.json", merged)
    records.writes_object(stored)
    return stored.uri


def _candidates_uri(ingest: ingests.Ingest, run_id: str) -> str:
    drop_prefix = ingest.candidates_uri.rsplit("/", 2)[0]
    run = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    return f"{drop_prefix}/{ingest.fingerprint}-{run}/candidates.parquet"


def _renormalised(candidates: pa.Table) -> pa.Table:
    """Return the candidates with their attributes in the words of today's vocabulary."""
    words = vocabulary.load()
    sellers, colours = candidates["raw_attributes"].to_pylist(), candidates["base_colour"].to_pylist()
    attributes = [
        None if stated is None else list(words.normalise(dict(stated) | {BASE_COLOUR: colour or ""}).items())
        for stated, colour in zip(sellers, colours, strict=True)
    ]
    at = candidates.schema.get_field_index("attributes")
    field = candidates.schema.field(at)
    return candidates.set_column(at, field, pa.array(attributes, field.type))


def _parquet(candidates: pa.Table) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(candidates, buffer, compression="zstd")
    content: bytes = buffer.getvalue().to_pybytes()
    return content


def _etag(uri: str) -> str:
    found = storage.find(uri)
    if found is None:
        raise PermanentError(f"{uri} is gone. Ingest the drop again, with Force.")
    return found.etag
