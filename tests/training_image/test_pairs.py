from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from garments import draw, row, write_pairs, write_pictures, write_side

from lookbook_image import pairs
from lookbook_image.errors import JobError

JPEG = draw("Red", "Sleeveless", Random(0))


def two_products(directory: Path) -> Path:
    """Two products that share a picture; one more has its own."""
    shared, own = "shared.jpg", "own.jpg"
    write_pairs(
        directory,
        [
            row("1", shared, "baseColour", "Red"),
            row("2", shared, "baseColour", "Red"),
            row("3", own, "baseColour", "Blue"),
        ],
    )
    write_pictures(directory, {own: JPEG, shared: draw("Blue", "Sleeveless", Random(0))}, shards=2)
    return directory


def test_a_shared_picture_is_one_picture(tmp_path: Path) -> None:
    side = pairs.read(two_products(tmp_path))
    assert side.pictures == ("shared.jpg", "own.jpg")
    assert side.picture_of_pair.tolist() == [0, 0, 1]
    assert side.answers == ("baseColour: Red", "baseColour: Red", "baseColour: Blue")


def test_pictures_come_with_their_position_in_the_order_of_the_files(tmp_path: Path) -> None:
    side = pairs.read(two_products(tmp_path))
    assert [position for position, _ in pairs.open_pictures(side, at_least=64)] == [1, 0]


def test_a_side_without_pairs_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"pairs\.parquet: not there"):
        pairs.read(tmp_path)


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.parquet").write_text("product_id,picture")
    with pytest.raises(JobError, match="not a Parquet file"):
        pairs.read(tmp_path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, [{"product_id": "1", "picture": "a.jpg", "attribute": "Fit", "question": "Q?"}])
    with pytest.raises(JobError, match="column answer missing"):
        pairs.read(tmp_path)


def test_a_side_without_a_pair_is_refused(tmp_path: Path) -> None:
    write_side(tmp_path, garments=1, seed=0)
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(tmp_path / "pairs.parquet").slice(0, 0), tmp_path / "pairs.parquet")
    with pytest.raises(JobError, match="no pairs"):
        pairs.read(tmp_path)


def test_an_empty_field_is_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path, [row("1", "a.jpg", "baseColour", "Red") | {"answer": ""}])
    with pytest.raises(JobError, match="column answer has an empty field"):
        pairs.read(tmp_path)


def test_a_picture_that_vanished_is_named(tmp_path: Path) -> None:
    side = pairs.read(two_products(tmp_path))
    (tmp_path / "pictures-00001.tar").unlink()
    with pytest.raises(JobError, match=r"1 of 2 pictures aren't in pictures-\*\.tar, the first is shared\.jpg"):
        list(pairs.open_pictures(side, at_least=64))


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, [row("1", "bad.jpg", "baseColour", "Red")])
    write_pictures(tmp_path, {"bad.jpg": b"no picture"})
    with pytest.raises(JobError, match=r"picture bad\.jpg: not a readable picture"):
        list(pairs.open_pictures(pairs.read(tmp_path), at_least=64))


def test_a_damaged_tar_is_named(tmp_path: Path) -> None:
    side = pairs.read(two_products(tmp_path))
    (tmp_path / "pictures-00000.tar").write_bytes(b"x" * 2000)
    with pytest.raises(JobError, match=r"pictures-00000\.tar: not an uncompressed tar file"):
        list(pairs.open_pictures(side, at_least=64))


def test_pictures_that_are_there_and_look_like_pictures_pass(tmp_path: Path) -> None:
    pairs.check_pictures(pairs.read(two_products(tmp_path)))


def test_a_vanished_picture_is_seen_by_name_alone(tmp_path: Path) -> None:
    side = pairs.read(two_products(tmp_path))
    (tmp_path / "pictures-00001.tar").unlink()
    with pytest.raises(JobError, match=r"1 of 2 pictures aren't in pictures-\*\.tar, the first is shared\.jpg"):
        pairs.check_pictures(side)


@pytest.mark.parametrize("data", [b"", b"no picture", b"<html></html>"])
def test_what_does_not_begin_as_a_picture_is_seen_by_its_header(tmp_path: Path, data: bytes) -> None:
    write_pairs(tmp_path, [row("1", "bad.jpg", "baseColour", "Red")])
    write_pictures(tmp_path, {"bad.jpg": data})
    with pytest.raises(JobError, match=r"picture bad\.jpg: not a readable picture.*Build the data set without it"):
        pairs.check_pictures(pairs.read(tmp_path))


def test_pictures_that_no_pair_names_are_nobodys_trouble(tmp_path: Path) -> None:
    write_pairs(tmp_path, [row("1", "good.jpg", "baseColour", "Red")])
    write_pictures(tmp_path, {"good.jpg": JPEG, "other.jpg": b"no picture"})
    pairs.check_pictures(pairs.read(tmp_path))


def test_a_side_with_one_answer_for_each_attribute_teaches_nothing(tmp_path: Path) -> None:
    rows = [row(str(n), "a.jpg", "baseColour", "Red") for n in range(3)]
    write_pairs(tmp_path, [*rows, row("4", "a.jpg", "Sleeve Length", "Sleeveless")])
    with pytest.raises(JobError, match=r"one answer only \(Sleeve Length: Sleeveless, baseColour: Red\)"):
        pairs.check_answers(pairs.read(tmp_path))


def test_an_attribute_with_one_answer_is_reported_beside_others(tmp_path: Path) -> None:
    rows = [row(str(n), "a.jpg", "baseColour", colour) for n, colour in enumerate(("Red", "Blue"))]
    write_pairs(tmp_path, [*rows, row("4", "a.jpg", "Sleeve Length", "Sleeveless")])
    assert pairs.check_answers(pairs.read(tmp_path)) == {"Sleeve Length": "Sleeve Length: Sleeveless"}


def test_the_fingerprint_is_the_pairs_alone(tmp_path: Path) -> None:
    one, same, other = (
        pairs.read(write_side(tmp_path / name, garments=4, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert pairs.fingerprint(one) == pairs.fingerprint(same) != pairs.fingerprint(other)
