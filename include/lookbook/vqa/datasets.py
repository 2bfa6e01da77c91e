"""The training data set: question/answer pairs and their pictures in a few large objects, named by their content."""

from __future__ import annotations

import hashlib
import io
import logging
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count
from typing import IO, Any

import obstore
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lookbook import storage
from lookbook.aws import client, object_store
from lookbook.catalog import tables
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.progress import Progress
from lookbook.settings import Settings, get_settings
from lookbook.vqa.pairs import Pairs, Seen, labelled_products, make_pairs
from lookbook.vqa.questions import ATTRIBUTES, QUESTIONS, VERSION, article_types, parse_answer
from lookbook.vqa.split import SIDES, check_sides

log = logging.getLogger(__name__)

_ID_LENGTH = 16
_PICTURES_AHEAD = 64  # read at once and held in memory until they are in the tar
_SHARD_BYTES = 256 * 2**20  # a tar is closed with the picture that makes it as large
_WHAT_IS_ASKED = ["product_id", "attribute", "answer", "picture_sha256"]
_PAIR_FILE_COLUMNS = ["product_id", "picture", "attribute", "question", "answer"]


@dataclass(frozen=True)
class DatasetRef:
    """A data set in S3: its prefix, its id and, by side, how many pairs, pictures and products it has.

    ``products_snapshot`` is the version of ``catalog.products`` that was found to hold it; another may have before.
    """

    uri: str
    dataset_id: str
    counts: dict[str, dict[str, int]]
    products_snapshot: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values; ``DatasetRef(**reference)`` restores it."""
        return asdict(self)


def build_dataset() -> DatasetRef:
    """Build the data set of the catalogue as it is published now.

    Its id is a function of pairs, pictures and split: an unchanged catalogue gives the same data set and writes
    nothing. ``dataset.json`` is written last, so where it is, everything is.

    Raises:
        EmptySplitError: too few labelled products for a training, a validation and a benchmark side.
        PermanentError: a picture is no longer what was published.
    """
    settings, snapshot = get_settings(), tables.current_snapshot("catalog.products")
    pairs = pairs_of(snapshot)
    check_sides(pc.unique(pairs.rows["side"]).to_pylist())
    dataset_id = _content_id(pairs.rows, settings.split_salt)
    stored = storage.find(f"{dataset_uri(dataset_id)}dataset.json")
    if stored is not None:
        log.info("Data set %s is there already: the catalogue's pairs have not changed.", dataset_id)
        # Written again it counts as young: no job reads it yet, and housekeeping is to leave it for one that will.
        storage.write_bytes(stored.uri, storage.read_bytes(stored.uri), "application/json")
    stored = stored or _write(dataset_id, pairs.rows, _describe(dataset_id, pairs, snapshot, settings))
    return _reported(stored, snapshot)


def dataset_uri(dataset_id: str) -> str:
    """Return the S3 prefix of a data set, with a slash at its end."""
    return f"s3://{get_settings().bucket}/training/datasets/{dataset_id}/"


def pairs_of(snapshot: str) -> Pairs:
    """Return the pairs that a data set of this version of ``catalog.products`` has."""
    settings = get_settings()
    return make_pairs(labelled_products(settings.article_types, snapshot), settings, _benchmarked())


def new_pairs(snapshot: str, dataset_id: str | None) -> int:
    """Return how many pairs of a version of the catalogue a data set has not.

    Those are the pairs of products that came since, or whose picture or answer changed. Pairs that no data set would
    have, such as those with a rare answer, are not new.

    Args:
        snapshot: the version of ``catalog.products``.
        dataset_id: the data set; ``None`` for none, to which everything is new.
    """
    rows = pairs_of(snapshot).rows.select(_WHAT_IS_ASKED)
    if dataset_id is None:
        return len(rows)
    known = tables.read("training.vqa_pairs", tables.equals("dataset_id", dataset_id), _WHAT_IS_ASKED)
    known = known.cast(rows.schema)  # PyIceberg reads long strings
    return len(rows.join(known, _WHAT_IS_ASKED, join_type="left anti"))


def _benchmarked() -> Seen:
    """Return what was in the benchmark of any data set before."""
    columns = ["product_id", "picture_sha256"]
    rows = tables.read("training.vqa_pairs", tables.equals("side", "benchmark"), columns)
    return Seen(*(frozenset(pc.unique(rows[column]).to_pylist()) for column in columns))


def _content_id(pairs: pa.Table, salt: str) -> str:
    digest = hashlib.sha256(salt.encode())
    columns = ("product_id", "picture_sha256", "question", "answer", "side")
    for row in zip(*(pairs[column].to_pylist() for column in columns), strict=True):
        digest.update("\x1f".join(row).encode() + b"\x1e")
    return digest.hexdigest()[:_ID_LENGTH]


def _describe(dataset_id: str, pairs: Pairs, snapshot: str, settings: Settings) -> dict[str, Any]:
    answers = _answers(pairs.rows)
    return {
        "dataset_id": dataset_id,
        "task": VERSION,
        "attributes": [attribute for attribute in ATTRIBUTES if attribute in answers],
        "questions": {attribute: QUESTIONS[attribute] for attribute in answers},
        "vocabulary": {attribute: sorted(values) for attribute, values in answers.items()},
        "counts": {side: _counts(_side(pairs.rows, side)) for side in SIDES},
        "balance": _answers(_side(pairs.rows, "train")),
        "left_out": pairs.left_out,
        "article_types": list(article_types(settings.article_types)),
        "split_salt": settings.split_salt,
        "products_snapshot": snapshot,
    }


def _answers(pairs: pa.Table) -> dict[str, dict[str, int]]:
    """Return how many pairs have each value, by attribute; the most frequent value comes first."""
    counted: dict[str, dict[str, int]] = {}
    frequency = Counter(pairs["answer"].to_pylist())
    for text, number in sorted(frequency.items(), key=lambda item: (-item[1], item[0])):
        attribute, value = parse_answer(text)
        counted.setdefault(attribute, {})[value] = number
    return counted


def _counts(side: pa.Table) -> dict[str, int]:
    pictures, products = (pc.count_distinct(side[column]).as_py() for column in ("picture_sha256", "product_id"))
    return {"pairs": len(side), "pictures": pictures, "products": products}


def _side(pairs: pa.Table, side: str) -> pa.Table:
    return pairs.filter(pc.equal(pairs["side"], side))


def _write(dataset_id: str, pairs: pa.Table, description: dict[str, Any]) -> storage.StoredObject:
    uri = dataset_uri(dataset_id)
    for side in SIDES:
        of_side = _side(pairs, side)
        records.writes_object(_write_pairs(f"{uri}{side}/pairs.parquet", of_side))
        _write_pictures(f"{uri}{side}/", of_side, side)
    ids = pa.array([dataset_id] * len(pairs), pa.string())
    rows = pairs.add_column(0, "dataset_id", ids)
    tables.replace("training.vqa_pairs", rows, tables.equals("dataset_id", dataset_id))
    return storage.write_json(f"{uri}dataset.json", description)


def _write_pairs(uri: str, pairs: pa.Table) -> storage.StoredObject:
    files = pc.binary_join_element_wise(pairs["picture_sha256"], ".jpg", "")
    sink = io.BytesIO()
    pq.write_table(pairs.append_column("picture", files).select(_PAIR_FILE_COLUMNS), sink)
    return storage.write_bytes(uri, sink.getvalue(), "application/vnd.apache.parquet")


def _write_pictures(prefix: str, pairs: pa.Table, side: str) -> None:
    """Write each picture of ``pairs`` once into tars of bounded size; memory stays bounded whatever their number."""
    uris = zip(pairs["picture_sha256"].to_pylist(), pairs["picture_uri"].to_pylist(), strict=True)
    unique = list(dict(sorted(uris)).items())
    progress = Progress(log, f"Pictures of the {side} side", len(unique))
    pictures = _read_pictures(unique)
    for number in count():
        with tempfile.TemporaryFile() as spool:
            more = _fill_tar(spool, pictures, progress)
            records.writes_object(_upload(f"{prefix}pictures-{number:05}.tar", spool))
        if not more:
            return


def _fill_tar(spool: IO[bytes], pictures: Iterator[tuple[str, bytes]], progress: Progress) -> bool:
    """Write pictures until the tar is large enough; return whether some may be left."""
    with tarfile.open(fileobj=spool, mode="w") as tar:
        for sha256, content in pictures:
            member = tarfile.TarInfo(f"{sha256}.jpg")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            progress.advance()
            if spool.tell() >= _SHARD_BYTES:
                return True
    return False


def _read_pictures(pictures: Sequence[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    with ThreadPoolExecutor(get_settings().read_concurrency) as readers:
        for start in range(0, len(pictures), _PICTURES_AHEAD):
            yield from readers.map(_read_picture, pictures[start : start + _PICTURES_AHEAD])


def _read_picture(picture: tuple[str, str]) -> tuple[str, bytes]:
    sha256, uri = picture
    bucket, key = storage.split_uri(uri)
    try:
        content = bytes(obstore.get(object_store(f"s3://{bucket}/"), key).bytes())
    except FileNotFoundError as error:
        raise PermanentError(f"{uri} is gone since it was published. Upload and ingest its drop anew.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PermanentError(
            f"{uri} is no longer the picture that was published ({sha256[:12]}…). Ingest its drop anew."
        )
    return sha256, content


def _upload(uri: str, spool: IO[bytes]) -> storage.StoredObject:
    bucket, key = storage.split_uri(uri)
    spool.seek(0)
    client("s3").upload_fileobj(spool, bucket, key)
    head = client("s3").head_object(Bucket=bucket, Key=key)
    return storage.StoredObject(uri, head["ETag"].strip('"'), head["ContentLength"])


def _reported(stored: storage.StoredObject, snapshot: str) -> DatasetRef:
    description = storage.read_json(stored.uri)
    uri = stored.uri.removesuffix("dataset.json")
    dataset = DatasetRef(uri, description["dataset_id"], description["counts"], snapshot)
    records.writes_object(stored)
    records.counts(**{f"{side}_pairs": numbers["pairs"] for side, numbers in dataset.counts.items()})
    log.info("Data set %s: %s; left out %s", dataset.dataset_id, dataset.counts, description["left_out"])
    for attribute, values in description["balance"].items():
        most, pairs = next(iter(values)), sum(values.values())
        log.info(
            "%s: %d answers, %d pairs, %s %.0f %%", attribute, len(values), pairs, most, 100 * values[most] / pairs
        )
    return dataset
