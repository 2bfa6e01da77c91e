from __future__ import annotations

import csv
import hashlib
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image, UnidentifiedImageError

from lookbook.drops.sample import draw, random_garment, write_drop
from lookbook.drops.sample.__main__ import main
from lookbook.drops.sample.garments import COLOURS, KINDS
from lookbook.drops.sample.layout import QUIRKS
from lookbook.drops.sample.products import COLUMNS, SYNONYMS
from lookbook.errors import PermanentError

MONDAY = date(2026, 11, 16)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample") / "drop"
    write_drop(directory, MONDAY, 100)
    return directory


def lines(directory: Path) -> list[str]:
    return (directory / "styles.csv").read_text(encoding="utf-8").splitlines()


def contents(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(p.relative_to(directory)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def readable(picture: Path) -> bool:
    try:
        with Image.open(picture) as image:
            image.load()
    except (UnidentifiedImageError, OSError):
        return False
    return True


def test_the_same_seed_gives_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    write_drop(tmp_path / "again", MONDAY, 100)
    assert contents(tmp_path / "again") == contents(sample)


def test_another_seed_or_week_gives_other_products(tmp_path: Path) -> None:
    for name, monday, seed in (("a", MONDAY, 0), ("b", MONDAY, 1), ("c", date(2026, 11, 23), 0)):
        write_drop(tmp_path / name, monday, 3, seed)
    a, b, c = (lines(tmp_path / name)[1:] for name in "abc")
    assert a != b
    assert not {line.split(",")[0] for line in a} & {line.split(",")[0] for line in c}


def test_it_has_kaggles_layout(sample: Path) -> None:
    assert sorted(p.name for p in sample.iterdir()) == ["_SUCCESS", "images", "images.csv", "styles", "styles.csv"]
    assert lines(sample)[0] == ",".join(COLUMNS)
    assert len(lines(sample)) == 101
    assert (sample / "images.csv").read_text(encoding="utf-8").startswith("filename,link\n")
    assert {p.suffix for p in (sample / "images").iterdir()} == {".jpg"}


def test_its_json_has_the_shape_of_the_real_one(sample: Path) -> None:
    product_id = lines(sample)[1].split(",")[0]
    content = orjson.loads((sample / "styles" / f"{product_id}.json").read_bytes())
    assert list(content) == ["notification", "meta", "data"]
    data = content["data"]
    assert data["id"] == int(product_id)
    assert data["ageGroup"] in ("Adults-Men", "Adults-Women")
    assert data["articleType"]["typeName"] in {kind.article_type for kind in KINDS}
    assert all(isinstance(value, str) for value in data["articleAttributes"].values())
    assert data["productDescriptors"]["description"]["descriptorType"] == "description"


def test_every_quirk_appears_in_a_hundred_products(tmp_path: Path) -> None:
    assert set(write_drop(tmp_path / "drop", MONDAY, 100).quirks) == set(QUIRKS)


def test_quirks_show_in_styles_csv(sample: Path) -> None:
    rows = [line.split(",") for line in lines(sample)[1:]]
    ids = Counter(row[0] for row in rows)
    assert max(ids.values()) == 2
    assert any(len(row) > 10 for row in rows)
    assert any(len(row) < 10 for row in rows)
    assert any('3.5"' in line for line in lines(sample))
    assert any(row[8] == "NA" for row in rows if len(row) > 9)
    assert any(row[5] == "NA" for row in rows if len(row) > 9)
    assert any(row[6] == "" for row in rows if len(row) > 9)
    assert any("  " in line for line in lines(sample))
    assert any(line.endswith(" ") for line in lines(sample))
    assert any("Ã©" in line for line in lines(sample))


def test_some_pictures_are_missing_or_cannot_be_read(sample: Path) -> None:
    ids = {line.split(",")[0] for line in lines(sample)[1:]}
    pictures = {p.stem: p for p in (sample / "images").iterdir()}
    assert ids - set(pictures)
    assert sum(not readable(p) for p in pictures.values()) == round(QUIRKS["unreadable_picture"] * 100)


def test_one_picture_stands_under_two_ids(sample: Path) -> None:
    sums = Counter(hashlib.sha256(p.read_bytes()).hexdigest() for p in (sample / "images").iterdir())
    assert max(sums.values()) == 2


def test_about_a_fifth_of_the_attributes_is_not_stated_and_some_are_synonyms(sample: Path) -> None:
    stated: Counter[str] = Counter()
    for path in (sample / "styles").iterdir():
        stated.update(orjson.loads(path.read_bytes())["data"]["articleAttributes"].values())
    patterns = sum(stated[p] for p in ("Solid", "Striped", "Checked", "Printed", "Polka Dots"))
    assert 65 <= patterns <= 92
    assert any(stated[synonym] for synonym in SYNONYMS.values())


def test_a_plain_sample_states_everything_and_has_no_quirks(tmp_path: Path) -> None:
    assert write_drop(tmp_path / "drop", MONDAY, 120, plain=True).quirks == {}
    with (tmp_path / "drop" / "styles.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["id"] for row in rows}) == 120
    for row in rows:
        attributes = orjson.loads((tmp_path / "drop" / "styles" / f"{row['id']}.json").read_bytes())["data"][
            "articleAttributes"
        ]
        assert {"Fabric", "Fit", "Pattern", "Sleeve Length"} <= set(attributes)
        assert ("Neck" in attributes) != ("Collar" in attributes)
        assert not set(attributes.values()) & set(SYNONYMS.values())


def test_a_garment_is_drawn_the_same_each_time() -> None:
    def picture() -> Image.Image:
        rng = np.random.default_rng(5)
        return draw(random_garment(rng), rng)

    assert picture().tobytes() == picture().tobytes()
    assert picture().size == (192, 256)
    assert picture().mode == "RGB"


def test_every_kind_of_garment_can_be_drawn() -> None:
    seen = set()
    for number in range(150):
        rng = np.random.default_rng([9, number])
        garment = random_garment(rng)
        draw(garment, rng)
        seen |= {garment.kind.article_type, garment.colour, *garment.attributes.values()}
    assert {kind.article_type for kind in KINDS} | set(COLOURS) <= seen


def test_a_directory_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(PermanentError, match="is not empty"):
        write_drop(tmp_path, MONDAY, 5)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_broken_off_sample_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / ".drop.partial").mkdir()
    (tmp_path / ".drop.partial" / "left over").touch()
    write_drop(tmp_path / "drop", MONDAY, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["drop"]
    assert not (tmp_path / "drop" / "left over").exists()


@pytest.mark.parametrize(
    ("monday", "products", "reason"),
    [(date(2026, 11, 17), 5, "no Monday"), (MONDAY, 0, "1 to 100000"), (MONDAY, 100_001, "1 to 100000")],
)
def test_dates_and_numbers_that_make_no_drop_are_refused(
    tmp_path: Path, monday: date, products: int, reason: str
) -> None:
    with pytest.raises(PermanentError, match=reason):
        write_drop(tmp_path / "drop", monday, products)


def test_the_command_line_writes_a_drop_and_says_why_it_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--products", "2", "--date", "2026-11-16", str(tmp_path / "drop")]
    assert main(arguments) == 0
    assert len(lines(tmp_path / "drop")) == 3
    assert main(arguments) == 2
    assert "is not empty" in capsys.readouterr().err
