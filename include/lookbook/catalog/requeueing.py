"""Judge a drop's quarantined rows again without reading its files: from the candidates of its last publishing.

What may have changed since is how a row is judged, the suite, and what its words mean, the vocabulary: both are applied
anew to the whole drop, so that one drop is judged by one rule. What a row is made from changes only where it was
mended by hand (:mod:`lookbook.catalog.mending`).
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from lookbook import storage
from lookbook.catalog import ingests, mended_files, mending
from lookbook.catalog.ingests import Ingest
from lookbook.catalog.mending import MendedFile
from lookbook.drops import vocabulary
from lookbook.drops.discovery import drop_uri
from lookbook.drops.vocabulary import BASE_COLOUR
from lookbook.errors import PermanentError
from lookbook.lineage import records

logger = logging.getLogger(__name__)

Verdicts = list[dict[str, Any]]  # of rejected rows: position, reasons, detail


@dataclass(frozen=True)
class Requeued:
    """A drop's candidates, ready to be validated again, and what they were made from.

    ``requeued`` counts the rows that are judged again, ``mended`` those of them that were mended by hand.
    """

    uri: str
    drop_id: str
    rows: int
    requeued: int
    mended: int
    reason: str | None
    candidates_uri: str  # of the last publishing, as are the verdict's
    verdict_uri: str
    mended_uri: str | None
    mended_etag: str | None

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``Requeued(**reference)`` restores it."""
        return asdict(self)


def requeue(drop_id: str, run_id: str, reason: str | None = None, rows_uri: str | None = None) -> Requeued:
    """Put the candidates of a drop's last publishing where this run validates them, mended and in today's vocabulary.

    Args:
        drop_id: the drop's Monday.
        run_id: the run that asks; a second call for it leaves what one leaves, after it has published too.
        reason: only rows quarantined for this reason code are judged again, and the mended ones; ``None`` means every
            quarantined row.
        rows_uri: a file of mended rows; ``None`` means that none were mended.

    Raises:
        PermanentError: the drop was never published, none of its rows is in quarantine (for that reason), or the file
            of mended rows is not one of the drop's.
    """
    ingest = _last(drop_id)
    uri = _candidates_uri(ingest, run_id)
    if uri == ingest.candidates_uri:  # this run has published: what it began from is no longer the last
        requeued = Requeued(**storage.read_json(_beside(uri, "requeue.json"))["requeued"])
    else:
        requeued = _begin(ingest, uri, reason, mending.read(rows_uri, drop_id) if rows_uri else None)
    _report(requeued)
    return requeued


def keep_others(requeued: Requeued, validation_uri: str) -> str:
    """Return the verdict to publish: the new one, but rows quarantined for other reasons than the one asked for stay.

    Without a reason that is the new verdict itself. Otherwise the merged verdict is written beside it.
    """
    if requeued.reason is None:
        return validation_uri
    new = orjson.loads(records.read_object(validation_uri))
    staying: Verdicts = storage.read_json(_beside(requeued.uri, "requeue.json"))["staying"]
    rejected = {row["position"]: row for row in [*new["rejected"], *staying]}
    merged = new | {"rejected": [row for _, row in sorted(rejected.items())]}
    merged["reasons"] = dict(Counter(code for row in merged["rejected"] for code in row["reasons"]))
    stored = storage.write_json(_beside(validation_uri, "requeued.json"), merged)
    records.writes_object(stored)
    return stored.uri


def quarantined(drop_id: str) -> str:
    """Return the file of a drop's quarantined rows, to be mended and handed in to :func:`requeue`.

    Raises:
        PermanentError: the drop was never published, or none of its rows is in quarantine.
    """
    ingest = _last(drop_id)
    rejected: Verdicts = storage.read_json(ingest.validation_uri)["rejected"]
    if not rejected:
        raise PermanentError(f"Every row of drop {drop_id} is published: none is in quarantine.")
    return mended_files.write(mending.quarantined(_candidates(ingest), rejected))


def _last(drop_id: str) -> Ingest:
    ingest = ingests.last(drop_id)
    if ingest is None:
        raise PermanentError(f"The catalogue holds no drop {drop_id}: there is nothing to requeue. Ingest it first.")
    return ingest


def _begin(ingest: Ingest, uri: str, reason: str | None, file: MendedFile | None) -> Requeued:
    """Write the candidates to validate to ``uri``, and beside them what they were made from and which rows stay."""
    rejected: Verdicts = storage.read_json(ingest.validation_uri)["rejected"]
    candidates, mended = _candidates(ingest), set[int]()
    if file:
        result = mending.mend(candidates, rejected, file, _manifest(ingest))
        candidates, mended = result.candidates, set(result.positions)
    staying = [row for row in rejected if reason and reason not in row["reasons"] and row["position"] not in mended]
    again = mended.union(row["position"] for row in rejected) - {row["position"] for row in staying}
    _check_some(ingest.drop_id, rejected, again, reason)
    storage.write_bytes(uri, _parquet(_renormalised(candidates)))
    requeued = Requeued(
        uri=uri,
        drop_id=ingest.drop_id,
        rows=len(candidates),
        requeued=len(again),
        mended=len(mended),
        reason=reason,
        candidates_uri=ingest.candidates_uri,
        verdict_uri=ingest.validation_uri,
        mended_uri=file.uri if file else None,
        mended_etag=file.etag if file else None,
    )
    storage.write_json(_beside(uri, "requeue.json"), {"requeued": requeued.reference(), "staying": staying})
    return requeued


def _check_some(drop_id: str, rejected: Verdicts, again: set[int], reason: str | None) -> None:
    if not again:
        counts = Counter(code for row in rejected for code in row["reasons"])
        held = ", ".join(f"{code} {number}" for code, number in sorted(counts.items())) or "no row at all"
        raise PermanentError(
            f"No row of drop {drop_id} is in quarantine for {reason or 'any reason'}. It holds: {held}."
        )


def _report(requeued: Requeued) -> None:
    for read in (requeued.candidates_uri, requeued.verdict_uri):
        records.reads_object(_found(read))
    if requeued.mended_uri and requeued.mended_etag:
        records.reads("object", requeued.mended_uri, requeued.mended_etag)
        records.reads("prefix", drop_uri(requeued.drop_id), ingests.fingerprint_of(requeued.uri))
        records.details(mended=requeued.mended_uri)
    records.writes_object(_found(requeued.uri))
    records.counts(rows=requeued.rows, requeued=requeued.requeued, mended=requeued.mended)
    logger.info(
        "drop %s: %d rows are judged again, %d of them mended by hand",
        *(requeued.drop_id, requeued.requeued, requeued.mended),
    )


def _candidates(ingest: Ingest) -> pa.Table:
    content = storage.read_bytes(ingest.candidates_uri)
    return mending.with_every_column(pq.read_table(pa.BufferReader(content)))


def _manifest(ingest: Ingest) -> dict[str, Any]:
    """Return the manifest of the drop as it was read, by its ingest and so for every requeue since."""
    uri = f"{ingest.candidates_uri.rsplit('/', 2)[0]}/{ingest.fingerprint}/manifest.json"
    manifest: dict[str, Any] = storage.read_json(uri)
    return manifest


def _beside(uri: str, name: str) -> str:
    return f"{uri.rpartition('/')[0]}/{name}"


def _candidates_uri(ingest: Ingest, run_id: str) -> str:
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


def _found(uri: str) -> storage.StoredObject:
    found = storage.find(uri)
    if found is None:
        raise PermanentError(f"{uri} is gone. Ingest the drop again, with Force.")
    return found
