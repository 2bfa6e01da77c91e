"""The real catalogue, where it is there: counts that are known exactly."""

from __future__ import annotations

import tarfile
from collections import Counter
from itertools import islice
from pathlib import Path

import orjson
import pytest
from tests.conftest import REAL_DATA

from lookbook.drops import lines, pictures, styles, vocabulary

CATALOGUE = REAL_DATA / "kaggle_fashion"

pytestmark = pytest.mark.skipif(not CATALOGUE.is_dir(), reason=f"the real catalogue is not at {CATALOGUE}")


@pytest.fixture(scope="module")
def rows() -> list[lines.Row]:
    content = (CATALOGUE / "styles.csv").read_bytes()
    lines.check_header(content, "styles.csv")
    return list(lines.read_rows(content))


def test_every_row_is_read(rows: list[lines.Row]) -> None:
    assert len(rows) == 44_446
    assert [row for row in rows if row.problem] == []
    assert len({row.fields["id"] for row in rows}) == 44_446


def test_stray_commas_quotes_and_spaces_are_mended_and_counted(rows: list[lines.Row]) -> None:
    repairs = Counter(repair for row in rows for repair in row.repairs)
    assert repairs == {"stray_comma": 22, "stray_quote": 2, "whitespace": 533}
    by_line = {row.line_number: row for row in rows}
    assert by_line[6044].fields["productDisplayName"] == "Boss Men Perfume, After Shave Balm and Shower Gel Set"
    assert by_line[12432].fields["productDisplayName"].endswith('3.5" Pink Short')
    assert by_line[14490].fields["productDisplayName"].endswith('3.5" Purple Short')


def test_na_is_kept_apart_from_empty(rows: list[lines.Row]) -> None:
    said = Counter(name for row in rows for name, value in row.fields.items() if value == "NA")
    empty = Counter(name for row in rows for name, value in row.fields.items() if value == "")
    assert said == {"usage": 316, "baseColour": 15, "productDisplayName": 7}
    assert empty == {"season": 21, "year": 1, "usage": 1}


def test_the_vocabulary_knows_every_colour(rows: list[lines.Row]) -> None:
    words = vocabulary.load()
    colours = {row.fields["baseColour"] for row in rows} - {"NA"}
    assert {colour for colour in colours if not words.knows("baseColour", colour)} == set()


def test_real_json_is_read_and_its_values_are_known() -> None:
    words = vocabulary.load()
    stated: Counter[str] = Counter()
    unknown: Counter[tuple[str, str]] = Counter()
    for product_id, content in members("styles_json.tar.xz", 500):
        product = styles.parse(content, product_id)
        assert product.problem is None
        assert product.brand
        for name, value in words.normalise(product.attributes).items():
            stated[name] += 1
            unknown[name, value] += not words.knows(name, value)
    assert stated["Fabric"] > 50
    assert +unknown == Counter()


def test_the_read_json_is_orjsons() -> None:
    for product_id, content in members("styles_json.tar.xz", 20):
        raw = orjson.loads(content)["data"]["articleAttributes"]
        assert set(styles.parse(content, product_id).attributes) == {" ".join(name.split()) for name in raw}


def test_real_pictures_can_be_used() -> None:
    for _, content in members("images_60x80.tar", 500):
        picture = pictures.inspect(content, 50_000_000)
        assert picture.problem is None
        assert len(picture.phash or "") == 16


def members(archive: str, number: int) -> list[tuple[str, bytes]]:
    """Return the first files of an archive as product id and content."""
    with tarfile.open(CATALOGUE / archive, "r|*") as tar:
        files = ((Path(member.name).stem, tar.extractfile(member)) for member in tar if member.isfile())
        return [(product_id, file.read()) for product_id, file in islice(files, number) if file]


def test_every_product_is_accounted_for_by_its_files(rows: list[lines.Row]) -> None:
    with tarfile.open(CATALOGUE / "images_60x80.tar") as tar:
        with_picture = {Path(member.name).stem for member in tar if member.isfile()}
    ids = {row.fields["id"] for row in rows}
    assert len(ids & with_picture) == 43_072
    assert len(ids - with_picture) == 1_374


def test_real_descriptors_become_plain_text() -> None:
    texts = 0
    for product_id, content in members("styles_json.tar.xz", 300):
        for text in styles.parse(content, product_id).descriptors.values():
            texts += 1
            assert "</" not in text
            assert "&nbsp;" not in text
    assert texts > 300
