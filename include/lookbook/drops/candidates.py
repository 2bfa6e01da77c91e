"""Make candidates of rows: each with its JSON and its picture, several at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import pyarrow as pa
from botocore.exceptions import ClientError

from lookbook import storage
from lookbook.aws import client
from lookbook.catalog.schemas import CANDIDATES
from lookbook.drops import pictures, styles, vocabulary
from lookbook.drops.lines import Row
from lookbook.drops.pictures import Picture
from lookbook.drops.styles import Styles
from lookbook.drops.vocabulary import BASE_COLOUR
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

MAX_JSON_BYTES = 5_000_000
MAX_PICTURE_BYTES = 50_000_000


class CandidateReader:
    """Reads the files of one drop's rows, ``threads`` at a time; to be opened with ``with``."""

    def __init__(self, manifest: dict[str, Any], threads: int) -> None:
        self.manifest = manifest
        self.drop_id: str = manifest["drop_id"]
        self.drop_uri: str = manifest["drop_uri"]
        self.vocabulary = vocabulary.load()
        self._files: dict[str, list[Any]] = manifest["files"]
        self._max_pixels = get_settings().max_picture_pixels
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> CandidateReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Return the rows' candidates in their order.

        Raises:
            PermanentError: a file is not the one that the manifest names.
        """
        return pa.Table.from_pylist(list(self._pool.map(self._candidate, rows)), schema=CANDIDATES)

    def styles_csv(self) -> bytes:
        """Return the drop's ``styles.csv`` as the manifest names it."""
        content = self._get("styles.csv")
        if hashlib.sha256(content).hexdigest() != self.manifest["styles_csv_sha256"]:
            raise self._changed("styles.csv")
        return content

    def _candidate(self, row: Row) -> dict[str, Any]:
        candidate: dict[str, Any] = {
            "drop_id": self.drop_id,
            "product_id": row.fields.get("id"),
            "line_number": row.line_number,
            "raw_line": row.raw_line,
            "row_problem": row.problem,
            "problem_detail": row.detail,
            "repairs": list(row.repairs),
        }
        unusable = {"picture_problem": None, "styles_problem": None}
        return candidate | (unusable if row.problem else self._product(row.fields))

    def _product(self, fields: dict[str, str]) -> dict[str, Any]:
        product_id = fields["id"]
        stated = self._styles(product_id)
        picture_name, styles_name = f"images/{product_id}.jpg", f"styles/{product_id}.json"
        picture = self._picture(picture_name)
        attributes = self.vocabulary.normalise(stated.attributes | {BASE_COLOUR: fields["baseColour"]})
        details = (text for text in (picture.detail, stated.detail) if text)
        return {
            **_columns(fields),
            "brand": stated.brand,
            "age_group": stated.age_group,
            "attributes": list(attributes.items()),
            "raw_attributes": list(stated.attributes.items()),
            "descriptors": list(stated.descriptors.items()),
            "picture_uri": f"{self.drop_uri}{picture_name}",
            "picture_etag": self._files.get(picture_name, [None, None])[1],
            "picture_sha256": picture.sha256,
            "picture_phash": picture.phash,
            "picture_width": picture.width,
            "picture_height": picture.height,
            "picture_format": picture.format,
            "picture_mode": picture.mode,
            "picture_problem": picture.problem,
            "styles_json_uri": f"{self.drop_uri}{styles_name}" if styles_name in self._files else None,
            "styles_json_sha256": stated.sha256,
            "styles_problem": stated.problem,
            "problem_detail": "; ".join(details) or None,
        }

    def _styles(self, product_id: str) -> Styles:
        name = f"styles/{product_id}.json"
        if name not in self._files:
            return Styles(problem="json_missing")
        if (size := self._files[name][0]) > MAX_JSON_BYTES:
            return Styles(problem="json_too_large", detail=f"{size} bytes, at most {MAX_JSON_BYTES} are read")
        return styles.parse(self._get(name), product_id)

    def _picture(self, name: str) -> Picture:
        if name not in self._files:
            return Picture(problem="picture_missing", detail=f"{name} is not in the drop")
        if (size := self._files[name][0]) > MAX_PICTURE_BYTES:
            return Picture(problem="picture_too_large", detail=f"{size} bytes, at most {MAX_PICTURE_BYTES} are read")
        return pictures.inspect(self._get(name), self._max_pixels)

    def _get(self, name: str) -> bytes:
        """Return a file of the drop in the version that the manifest names."""
        bucket, key = storage.split_uri(self.drop_uri + name)
        try:
            answer = client("s3").get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                raise self._changed(name) from error
            raise
        if answer["ETag"].strip('"') != self._files[name][1]:
            raise self._changed(name)
        content: bytes = answer["Body"].read()
        return content

    def _changed(self, name: str) -> PermanentError:
        return PermanentError(
            f"{self.drop_uri}{name} is not the file that manifest {self.manifest['fingerprint']} names: the drop has "
            "changed since. Clear the run from its fingerprint task on."
        )


def _columns(fields: dict[str, str]) -> dict[str, Any]:
    """Return the columns of ``styles.csv`` as the catalogue has them: empty is null, ``NA`` is a value."""
    year = fields["year"]
    return {
        "display_name": fields["productDisplayName"] or None,
        "gender": fields["gender"] or None,
        "master_category": fields["masterCategory"] or None,
        "sub_category": fields["subCategory"] or None,
        "article_type": fields["articleType"] or None,
        "base_colour": fields["baseColour"] or None,
        "season": fields["season"] or None,
        "year": int(year) if year.isdigit() else None,
        "usage": fields["usage"] or None,
    }
