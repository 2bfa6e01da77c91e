"""Damaged drops: whatever their bytes are, every row comes out as published or quarantined and no path leads out.

``pytest --damaged-drops 100000`` tries more of them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore
from tests.drops import small
from tests.drops.small import DROP_ID, HEADER, line

from lookbook import drops, storage
from lookbook.catalog.schemas import CANDIDATES
from lookbook.drops import files as drop_files
from lookbook.drops import lines, uploading
from lookbook.drops.candidates import CandidateReader
from lookbook.quality import checkpoint, frame

URI = f"s3://lookbook/drops/{DROP_ID}/"
HOSTILE_IDS = (
    *("../../x", "/etc/passwd", "C:\\x", "..", "%2e%2e%2f", "١٢٣", "１２３", "²", "10\u200b", "1" * 31),
    *("-1", "1e5", "0x10", "", " ", "1/2", "s3://other/1", "=1+1", "+1", "@SUM(A1)", "${id}", "{0}", "NaN"),
)
NAMES = ('=HYPERLINK("http://x")', "+1-1", "@SUM(A1:A9)", "-2+3|cmd", "a,b,c", '3.5" cuff', '"open', "\x00", "é", "NA")
SAFE = re.compile(r"s3://lookbook/drops/2026-11-16/(images/[0-9]{1,12}\.jpg|styles/[0-9]{1,12}\.json)")

ids = st.one_of(st.integers(0, 6).map(str), st.sampled_from(HOSTILE_IDS), st.text(max_size=8))
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=20))
whole_lines = st.builds(line, ids, names)
damaged_lines = st.one_of(
    st.builds(lambda text, at: text[:at].encode("utf-8"), whole_lines, st.integers(0, 80)),
    st.binary(max_size=60),
    st.builds(lambda text: text.encode("utf-16"), whole_lines),
    st.builds(lambda text: text.encode("cp1252", "replace"), whole_lines),
)
csv_lines = st.one_of(whole_lines.map(lambda text: text.encode("utf-8")), damaged_lines)


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
json_files = st.one_of(
    damaged(orjson.dumps(small.styles(1, Fabric="Cotton"))),
    st.dictionaries(st.sampled_from(KEYS), json_values).map(
        lambda data: json.dumps({"data": {"id": 1} | data}).encode()  # Python's writes NaN and 10^30, too
    ),
    st.binary(max_size=40),
)
pictures = st.one_of(damaged(JPEG), st.just(GIF_IN_DISGUISE), st.binary(max_size=40))


@st.composite
def damaged_drops(draw: st.DrawFn) -> tuple[bytes, dict[str, bytes]]:
    """Draw a drop: its ``styles.csv`` and its other files by name."""
    separator = draw(st.sampled_from([b"\n", b"\r\n"]))
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    styles_csv = mark + separator.join([HEADER.encode(), *draw(st.lists(csv_lines, min_size=1, max_size=6))])
    files: dict[str, bytes] = {}
    for product_id in draw(st.sets(st.integers(0, 6), max_size=4)):
        files[f"images/{product_id}.jpg"] = draw(pictures)
        files[f"styles/{product_id}.json"] = draw(json_files)
    return styles_csv, files


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


def check(styles_csv: bytes, files: dict[str, bytes]) -> None:
    """Check that every line with anything in it is told of, that no path leads out, and that no row is lost."""
    number, table = read(styles_csv, files)
    assert (len(table), table.schema) == (number, CANDIDATES)
    for row in table.to_pylist():
        assert row["product_id"] is None or lines.PRODUCT_ID.fullmatch(row["product_id"])
        for uri in (row["picture_uri"], row["styles_json_uri"]):
            assert uri is None or SAFE.fullmatch(uri)
        assert row["row_problem"] or row["picture_problem"] or row["picture_phash"]
    return table


def check_verdict(table: pa.Table) -> None:
    """Check that of each readable id one row is first and the others are told from it: none is published twice."""
    built = frame.build(table)
    readable = built["row_problem"].isna()
    assert built["occurrence"].notna().equals(readable)
    assert int((built["occurrence"] == 1).sum()) == built[readable]["product_id"].nunique()


def test_no_damaged_drop_stops_the_reader(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    examples = int(request.config.getoption("--damaged-drops"))
    read_before: list[pa.Table] = []

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged_drops())
    def read_damaged(drop: tuple[bytes, dict[str, bytes]]) -> None:
        read_before.append(check(*drop))

    read_damaged()
    assert len(read_before) >= examples
    every = pa.concat_tables(read_before)
    check_verdict(every)
    outcomes = checkpoint.run(frame.build(every), DROP_ID, "damaged", tmp_path, None)
    rejected = {row for one in outcomes if one.meta["severity"] == "reject_row" for row in one.positions}
    published = [row for position, row in enumerate(every.to_pylist()) if position not in rejected]
    assert len({row["product_id"] for row in published}) == len(published) == len(every) - len(rejected)
    assert all(row["picture_phash"] and row["display_name"] and row["article_type"] for row in published)


@pytest.mark.parametrize("product_id", HOSTILE_IDS)
def test_a_hostile_id_becomes_no_path(product_id: str) -> None:
    _, table = read("\n".join([HEADER, line(product_id), line(2)]).encode(), {"images/2.jpg": JPEG})
    first, second = table.to_pylist()
    assert first["row_problem"] in ("bad_product_id", "too_few_fields")
    assert first["product_id"] is first["picture_uri"] is first["styles_json_uri"] is None
    assert second["row_problem"] is None


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
