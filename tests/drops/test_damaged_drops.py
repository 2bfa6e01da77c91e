"""Damaged drops: whatever their bytes are, every row comes out as published or quarantined and no path leads out.

``pytest --damaged-drops 10000 --timeout 3600`` tries more of them.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import json
import logging
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore
from tests.drops import small
from tests.drops.small import DROP_ID, HEADER, line

from lookbook import drops, quality, storage
from lookbook.catalog import publishing, tables
from lookbook.catalog.publishing import PRODUCTS, QUARANTINE
from lookbook.catalog.schemas import CANDIDATES
from lookbook.drops import files as drop_files
from lookbook.drops import lines, uploading
from lookbook.drops.candidates import CandidateReader

URI = f"s3://lookbook/drops/{DROP_ID}/"
HOSTILE_IDS = (
    *("../../x", "/etc/passwd", "C:\\x", "..", "%2e%2e%2f", "١٢٣", "１２３", "²", "10\u200b", "1" * 31, "9" * 5000),
    *("1\x002", "\u202e12", "12\u200f", "1\ufeff", "1 2", "1;2", "1.jpg", "images/1", "..\\..\\x", "~", "-", "*"),
    *("-1", "1e5", "0x10", "", " ", "1/2", "s3://other/1", "=1+1", "+1", "@SUM(A1)", "${id}", "{0}", "NaN"),
)
NAMES = ('=HYPERLINK("http://x")', "+1-1", "@SUM(A1:A9)", "-2+3|cmd", "a,b,c", '3.5" cuff', '"open', "\x00", "é", "NA")
SAFE = re.compile(r"s3://lookbook/drops/2026-11-16/(images/[0-9]{1,12}\.jpg|styles/[0-9]{1,12}\.json)")

names = st.one_of(st.sampled_from(NAMES), st.text(max_size=20))
# The columns that are words of a vocabulary; of a year it is judged whether it is one.
words = st.one_of(st.sampled_from(["", "NA", "<script>alert(1)</script>", "{{7*7}}", "men"]), st.text(max_size=8))
columns = st.dictionaries(st.sampled_from(["gender", "articleType", "baseColour", "usage", "year"]), words, max_size=1)


@st.composite
def csv_lines(draw: st.DrawFn, product_ids: st.SearchStrategy[str]) -> bytes:
    """Draw a line, most often a whole one."""
    product_id = draw(
        st.one_of(product_ids, product_ids, product_ids, st.sampled_from(HOSTILE_IDS), st.text(max_size=8))
    )
    text = line(product_id, draw(names), **draw(columns))
    return draw(
        st.one_of(
            st.just(text.encode()),
            st.just(text.encode()),
            st.just(text.encode()),
            st.integers(0, 80).map(lambda at: text[:at].encode()),
            st.binary(max_size=60),
            st.sampled_from([text.encode("utf-16"), text.encode("cp1252", "replace"), f'"{text}"'.encode()]),
        )
    )


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw what is left of a file: whole, cut off, with bytes overwritten, or something else altogether."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 3))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(content)))
    return draw(st.sampled_from([whole, bytes(content), bytes(content[:cut]), content[cut:] and bytes(content[cut:])]))


JPEG, GIF_IN_DISGUISE = small.jpeg(), b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(HOSTILE_IDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("id", "brandName", "ageGroup", "articleAttributes", "productDescriptors")


def json_files(product_id: int) -> st.SearchStrategy[bytes]:
    return st.one_of(
        damaged(orjson.dumps(small.styles(product_id, Fabric="Cotton"))),
        st.dictionaries(st.sampled_from(KEYS), json_values).map(
            lambda data: json.dumps({"data": {"id": product_id} | data}).encode()  # Python's writes NaN and 10^30, too
        ),
        st.binary(max_size=40),
    )


pictures = st.one_of(st.just(JPEG), damaged(JPEG), st.sampled_from([JPEG, GIF_IN_DISGUISE]), st.binary(max_size=40))


@st.composite
def damaged_drops(draw: st.DrawFn) -> tuple[bytes, dict[str, bytes]]:
    """Draw a drop: its ``styles.csv`` and its other files by name."""
    separator = draw(st.sampled_from([b"\n", b"\r\n"]))
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    first = 3 * draw(st.integers(0, 10**9))  # three ids of its own, so that what many drops hold can be one drop
    product_ids = st.integers(first, first + 2).map(str)
    drawn = draw(st.lists(csv_lines(product_ids), min_size=1, max_size=6))
    files: dict[str, bytes] = {}
    for product_id in draw(st.sets(product_ids, min_size=1, max_size=3)):
        files[f"images/{product_id}.jpg"] = draw(pictures)
        files[f"styles/{product_id}.json"] = draw(json_files(int(product_id)))
    return mark + separator.join([HEADER.encode(), *drawn]), files


def read(styles_csv: bytes, files: dict[str, bytes]) -> tuple[int, Any]:
    """Return how many rows the drop has, and their candidates."""
    store = MemoryStore()  # holds this one drop: whatever else is asked for is not there
    every = files | {"styles.csv": styles_csv}
    etags = {name: store.put(name, content)["e_tag"] for name, content in every.items()}
    manifest = {
        "drop_id": DROP_ID,
        "drop_uri": URI,
        "fingerprint": "f",
        "styles_csv_sha256": hashlib.sha256(styles_csv).hexdigest(),
        "files": {name: [len(content), str(etags[name]).strip('"')] for name, content in every.items()},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drop_files, "object_store", lambda uri: store)
        with CandidateReader(manifest, 1) as reader:
            rows = list(lines.read_rows(reader.files.styles_csv()))
            return len(rows), reader.table(rows)


def check(styles_csv: bytes, files: dict[str, bytes]) -> pa.Table:
    """Check that every line with anything in it is told of, that no path leads out, and that no row is lost."""
    number, table = read(styles_csv, files)
    assert (len(table), table.schema) == (number, CANDIDATES)
    for row in table.to_pylist():
        assert row["product_id"] is None or lines.PRODUCT_ID.fullmatch(row["product_id"])
        for uri in (row["picture_uri"], row["styles_json_uri"]):
            assert uri is None or SAFE.fullmatch(uri)
        assert row["row_problem"] or row["picture_problem"] or row["picture_phash"]
    return table


def ingest(candidates_uri: str) -> publishing.Published:
    """Take a drop's candidates to the tables, as the tasks do that come after reading."""
    validation = quality.validate(candidates_uri, max_rejected_share=1.0)
    published = publishing.publish(publishing.stage(candidates_uri, validation.uri))
    assert (published.rows, published.quarantined) == (validation.rows, validation.rejected)
    return published


def check_tables(published: publishing.Published, raw_lines: list[str]) -> None:
    """Check that each line that was read is in one of the tables, once, and that what is published is fit for it."""
    products, quarantine = (tables.read(name).to_pylist() for name in (PRODUCTS, QUARANTINE))
    assert published.rows == len(raw_lines) == len(products) + len(quarantine)
    assert Counter(row["raw_line"] for row in products + quarantine) == Counter(raw_lines)
    assert len({row["product_id"] for row in products}) == len(products)
    for row in products:
        assert lines.PRODUCT_ID.fullmatch(row["product_id"])
        assert row["picture_uri"] == f"{URI}images/{row['product_id']}.jpg"
        assert row["styles_json_uri"] in (None, f"{URI}styles/{row['product_id']}.json")
        assert row["picture_phash"]
        assert row["display_name"]
        assert row["article_type"]
    for row in quarantine:
        assert row["reasons"]
        assert row["product_id"] is None or lines.PRODUCT_ID.fullmatch(row["product_id"])
        assert row["picture_uri"] is None or SAFE.fullmatch(row["picture_uri"])


def test_of_all_damaged_drops_every_row_is_published_or_quarantined(
    request: pytest.FixtureRequest, bucket: str
) -> None:
    examples = int(request.config.getoption("--damaged-drops"))
    read_before: list[pa.Table] = []

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged_drops())
    def read_damaged(drop: tuple[bytes, dict[str, bytes]]) -> None:
        read_before.append(check(*drop))

    read_damaged()
    assert len(read_before) >= examples
    # They go on as one drop: a run of Great Expectations for each would take minutes, and sees as many rows.
    every = pa.concat_tables(read_before)
    content = io.BytesIO()
    pq.write_table(every, content)
    uri = f"s3://lookbook/staging/{DROP_ID}/damaged/candidates.parquet"
    storage.write_bytes(uri, content.getvalue())
    published = ingest(uri)
    check_tables(published, every["raw_line"].to_pylist())
    assert min(published.published, published.quarantined) > examples / 50


class RequestLog(logging.Handler):
    """The paths of all requests that the server of AWS gets, whoever sends them."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        found = re.search(r"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/", record.getMessage())
        if found:
            self.requests.append((found[1], unquote(urlsplit(found[2]).path)))


@pytest.fixture
def requests(bucket: str) -> Iterator[list[tuple[str, str]]]:
    log, werkzeug = RequestLog(), logging.getLogger("werkzeug")
    level, werkzeug.propagate = werkzeug.level, False
    werkzeug.setLevel(logging.INFO)
    werkzeug.addHandler(log)
    yield log.requests
    werkzeug.removeHandler(log)
    werkzeug.setLevel(level)
    werkzeug.propagate = True


# What somebody who can write to the drop, and to nothing else, may have put there.
HOSTILE_KEYS = (
    "images/../../secret.jpg",
    "images/..",
    "images/" + "9" * 900,
    "styles/\u202e1.json",
    "images//1.jpg",
    "images.zip",
)
# Where the ingest of a drop may read and write.
ALLOWED = re.compile(
    rf"/lookbook/?|/lookbook/(drops/{DROP_ID}/(_SUCCESS|manifest\.json|styles\.csv|images/[0-9]{{1,12}}\.jpg"
    rf"|styles/[0-9]{{1,12}}\.json)|staging/{DROP_ID}/.*|data-docs/{DROP_ID}/.*|warehouse/catalog[./].*)"
)


def test_a_damaged_drop_in_a_bucket_goes_to_the_tables_by_way_of_its_own_files_alone(
    requests: list[tuple[str, str]],
) -> None:
    styles_csv, files = merged_drops(60)
    for name, content in {**files, **dict.fromkeys(HOSTILE_KEYS, JPEG), "styles.csv": styles_csv}.items():
        storage.write_bytes(URI + name, content)
    storage.write_bytes("s3://lookbook/drops/secret.jpg", JPEG)
    storage.write_bytes(f"{URI}_SUCCESS", b"")
    requests.clear()
    candidates = drops.read(drops.fingerprint(drops.discover(DROP_ID)).uri)
    published = ingest(candidates.uri)
    asked = list(requests)
    assert ("GET", f"/lookbook/drops/{DROP_ID}/styles.csv") in asked
    assert [path for _, path in asked if not ALLOWED.fullmatch(path)] == []
    assert [path for method, path in asked if method in ("PUT", "DELETE") and "/drops/" in path] == []
    check_tables(published, [row.raw_line for row in lines.read_rows(styles_csv)])
    assert published.published
    assert published.quarantined


def merged_drops(number: int) -> tuple[bytes, dict[str, bytes]]:
    """Return as many damaged drops as one: the lines of all, one below the other, and the files of all."""
    tables_of_lines: list[bytes] = []
    files: dict[str, bytes] = {}

    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged_drops())
    def merge(drop: tuple[bytes, dict[str, bytes]]) -> None:
        tables_of_lines.append(drop[0].removeprefix(codecs.BOM_UTF8).partition(b"\n")[2])
        files.update(drop[1])

    merge()
    return b"\n".join([HEADER.encode(), *tables_of_lines]), files


def test_an_id_that_differs_by_space_is_the_same_id_and_one_by_a_zero_is_another(bucket: str, tmp_path: Path) -> None:
    same = (" 7", "7 ", "\t7", "\u00a07", '"7"', "\x007", "\u30007")
    directory = small.write_directory(tmp_path / "drop", *map(line, ("7", "007", *same)))
    ingest(small.read_directory(directory).uri)
    products, quarantine = tables.read(PRODUCTS), tables.read(QUARANTINE)
    assert set(products["picture_uri"].to_pylist()) == {f"{URI}images/7.jpg", f"{URI}images/007.jpg"}
    assert quarantine["product_id"].to_pylist() == ["7"] * len(same)
    assert quarantine["reasons"].to_pylist() == [["duplicate_id"]] * len(same)


@pytest.mark.parametrize("product_id", HOSTILE_IDS)
def test_a_hostile_id_becomes_no_path(product_id: str) -> None:
    _, table = read("\n".join([HEADER, line(product_id), line(2)]).encode(), {"images/2.jpg": JPEG})
    first, second = table.to_pylist()
    assert first["row_problem"] in ("bad_product_id", "too_few_fields")
    assert first["product_id"] is first["picture_uri"] is first["styles_json_uri"] is None
    assert second["row_problem"] is None


# There is no export as CSV that a spreadsheet would open; whoever writes one has to defuse such names there.
@pytest.mark.parametrize("name", ['=HYPERLINK("http://x";"y")', "+1-1", "@SUM(A1:A9)", "-2+3|cmd"])
def test_a_spreadsheet_formula_is_a_name_like_any_other(name: str) -> None:
    _, table = read("\n".join([HEADER, line(1, name)]).encode(), {"images/1.jpg": JPEG})
    assert table["display_name"].to_pylist() == [name]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A file that no drop may carry off."""
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    yield secret


def test_no_link_in_a_drop_leads_out_of_it(bucket: str, tmp_path: Path, outside: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), line(2), line(3), line(4), line("../../secret"))
    for number in (1, 3, 4):
        (directory / "images" / f"{number}.jpg").unlink()
    (directory / "images" / "1.jpg").symlink_to(outside)
    (directory / "images" / "3.jpg").symlink_to("3.jpg")  # a circle
    (directory / "images" / "4.jpg").symlink_to(tmp_path / "nowhere.jpg")
    drops.upload(directory, DROP_ID)
    uploaded = {stored.uri.removeprefix(URI) for stored in storage.list_objects(URI)}
    assert uploaded == {"styles.csv", "_SUCCESS", "images/2.jpg", *(f"styles/{number}.json" for number in range(1, 5))}


def test_a_directory_that_is_a_link_out_of_the_drop_carries_nothing_off(
    bucket: str, tmp_path: Path, outside: Path
) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1))
    (directory / "images" / "1.jpg").unlink()
    (directory / "images").rmdir()
    (tmp_path / "elsewhere").mkdir()
    outside.rename(tmp_path / "elsewhere" / "1.jpg")
    (directory / "images").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    drops.upload(directory, DROP_ID)
    assert storage.find(f"{URI}images/1.jpg") is None


@pytest.mark.parametrize("name", ["styles.csv", "images.csv"])
def test_a_csv_that_is_a_link_out_of_the_drop_carries_nothing_off(
    bucket: str, tmp_path: Path, outside: Path, name: str
) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1))
    outside.write_bytes((directory / "styles.csv").read_bytes())
    (directory / name).unlink(missing_ok=True)
    (directory / name).symlink_to(outside)
    with pytest.raises(uploading.PermanentError, match="link"):
        drops.upload(directory, DROP_ID)


def test_what_is_no_plain_file_stays_behind(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", *(line(number) for number in range(1, 5)))
    for number in (1, 2, 3):
        (directory / "images" / f"{number}.jpg").unlink()
    os.mkfifo(directory / "images" / "1.jpg")  # whoever reads it waits forever
    (directory / "images" / "2.jpg").mkdir()
    (directory / "images" / "3.jpg").symlink_to("/dev/zero")
    os.mkfifo(directory / "images.csv")
    drops.upload(directory, DROP_ID)
    uploaded = {stored.uri.removeprefix(URI) for stored in storage.list_objects(URI)}
    assert uploaded == {"styles.csv", "_SUCCESS", "images/4.jpg", *(f"styles/{number}.json" for number in range(1, 5))}


def test_a_styles_csv_that_is_no_plain_file_is_told_of(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1))
    (directory / "styles.csv").unlink()
    os.mkfifo(directory / "styles.csv")
    with pytest.raises(uploading.PermanentError, match=r"it has no styles\.csv"):
        drops.upload(directory, DROP_ID)


def test_an_archive_is_not_unpacked(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), line(2))
    for archive in (directory / "images" / "1.jpg", directory / "images.zip"):
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("../../secret.jpg", JPEG)
    one, two = tables_of(small.read_directory(directory).uri)
    assert (one["picture_problem"], two["picture_problem"]) == ("picture_unreadable", None)
    assert storage.find(f"{URI}images.zip") is None


def tables_of(candidates_uri: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(storage.read_bytes(candidates_uri))).to_pylist()
    return rows


def test_names_that_no_system_likes_stay_behind(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), *map(line, ("..", "1\n", "$(x)")))
    for name in ("...jpg", "." * 200 + ".jpg", "\u202e1.jpg", "1\n.jpg", "9" * 250 + ".jpg", "$(x).jpg"):
        (directory / "images" / name).write_bytes(JPEG)
    drops.upload(directory, DROP_ID)
    uploaded = {stored.uri.removeprefix(URI) for stored in storage.list_objects(URI)}
    assert uploaded == {"styles.csv", "_SUCCESS", "images/1.jpg", "styles/1.json"}


@pytest.mark.parametrize("limit", [None, 1])
def test_an_empty_list_of_links_is_one(bucket: str, tmp_path: Path, limit: int | None) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1))
    (directory / "images.csv").touch()
    drops.upload(directory, DROP_ID, limit)
    assert storage.read_bytes(f"{URI}images.csv") == b""
