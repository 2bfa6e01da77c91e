from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from garments import draw

from lookbook_image.errors import JobError
from lookbook_image.pretrain import drawn

HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"


def write_drop(directory: Path, *rows: tuple[str, str], attributes: dict[str, str] | None = None) -> Path:
    """Write a drop of (id, colour) rows; each has a picture and, if given, ``attributes`` in its JSON."""
    (directory / "images").mkdir(parents=True)
    (directory / "styles").mkdir()
    lines = [f"{id_},Men,Apparel,Topwear,Shirts,{colour},Fall,2026,Casual,A shirt" for id_, colour in rows]
    (directory / "styles.csv").write_text("\n".join([HEADER, *lines]))
    for id_, _ in rows:
        (directory / "images" / f"{id_}.jpg").write_bytes(draw("Red", "Sleeveless", Random(0)))
        if attributes is not None:
            document = {"data": {"articleAttributes": attributes}}
            (directory / "styles" / f"{id_}.json").write_text(json.dumps(document))
    return directory


def test_garments_come_with_their_labels(tmp_path: Path) -> None:
    drop = write_drop(
        tmp_path / "drop", ("1", "Red"), ("2", "Blue"), attributes={"Fit": "Slim Fit", "Occasion": "Party"}
    )
    garments = drawn.read([drop], side=64)
    assert garments.pictures.shape == (2, 64, 64, 3)
    assert garments.labels[1] == {"Fit": "Slim Fit", "baseColour": "Blue", "articleType": "Shirts"}


def test_several_drops_are_read_as_one(tmp_path: Path) -> None:
    drops = [write_drop(tmp_path / name, ("1", "Red")) for name in ("one", "two")]
    assert len(drawn.read(drops, side=64)) == 2


def test_values_that_say_nothing_are_no_labels(tmp_path: Path) -> None:
    drop = write_drop(tmp_path / "drop", ("1", "NA"), attributes={"Fit": "", "Neck": "NA"})
    assert drawn.read([drop], side=64).labels == ({"articleType": "Shirts"},)


def test_rows_without_a_readable_picture_are_left_out(tmp_path: Path) -> None:
    drop = write_drop(tmp_path / "drop", ("1", "Red"), ("2", "Red"), ("3", "Red"))
    (drop / "images" / "1.jpg").unlink()
    (drop / "images" / "2.jpg").write_bytes(b"no picture")
    assert len(drawn.read([drop], side=64)) == 1


def test_a_directory_that_is_no_drop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"styles\.csv: not there"):
        drawn.read([tmp_path], side=64)


def test_drops_without_a_usable_garment_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no usable garment"):
        drawn.read([write_drop(tmp_path / "drop")], side=64)


def test_garments_are_split_by_position(tmp_path: Path) -> None:
    garments = drawn.read([write_drop(tmp_path / "drop", ("1", "Red"), ("2", "Blue"), ("3", "Grey"))], side=64)
    first, rest = garments.split(2)
    assert (len(first), len(rest)) == (2, 1)
    assert rest.labels[0]["baseColour"] == "Grey"
