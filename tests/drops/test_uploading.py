from __future__ import annotations

from pathlib import Path

import pytest
from tests.drops import small
from tests.drops.small import DROP_ID, HEADER, line

from lookbook import drops, storage
from lookbook.errors import PermanentError

URI = f"s3://lookbook/drops/{DROP_ID}/"


def names() -> set[str]:
    return {stored.uri.removeprefix(URI) for stored in storage.list_objects(URI)}


def test_a_directory_becomes_a_drop(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), line(2))
    uploaded = drops.upload(directory, DROP_ID)
    assert (uploaded.rows, uploaded.files, uploaded.uri) == (2, 5, URI)
    assert names() == {
        *("_SUCCESS", "styles.csv"),
        *("images/1.jpg", "images/2.jpg", "styles/1.json", "styles/2.json"),
    }
    assert storage.read_bytes(f"{URI}images/1.jpg") == (directory / "images" / "1.jpg").read_bytes()


def test_lines_stay_byte_for_byte(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), line(2, 'Blue 3.5", Shirt '), "3,cut")
    raw = (directory / "styles.csv").read_bytes().replace(b"\n", b"\r\n") + b"\xff\r\n"
    (directory / "styles.csv").write_bytes(raw)
    drops.upload(directory, DROP_ID)
    assert storage.read_bytes(f"{URI}styles.csv") == raw


def test_a_limit_takes_the_first_rows_and_their_files(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), line(2, 'Blue 3.5" Shirt'), line(3))
    (directory / "images.csv").write_text("filename,link\n1.jpg,http://a\n3.jpg,http://c\n")
    assert drops.upload(directory, DROP_ID, limit=2).rows == 2
    lines = storage.read_bytes(f"{URI}styles.csv")
    assert lines == "\n".join([HEADER, line(1), line(2, 'Blue 3.5" Shirt'), ""]).encode()
    assert names() == {
        *("_SUCCESS", "styles.csv", "images.csv"),
        *("images/1.jpg", "images/2.jpg", "styles/1.json", "styles/2.json"),
    }
    assert storage.read_bytes(f"{URI}images.csv") == b"filename,link\n1.jpg,http://a\n"


def test_a_limit_does_not_cut_a_row_that_spans_lines(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1, '"A shirt\nof two lines"'), line(2))
    drops.upload(directory, DROP_ID, limit=1)
    assert (
        storage.read_bytes(f"{URI}styles.csv").decode() == f'{HEADER}\n{line(1, chr(34) + "A shirt")}\nof two lines"\n'
    )


def test_a_limit_beyond_the_rows_takes_them_all(bucket: str, tmp_path: Path) -> None:
    assert drops.upload(small.write_directory(tmp_path / "drop", line(1)), DROP_ID, limit=500).rows == 1


def test_uploading_again_leaves_exactly_the_new_drop(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), line(2))
    drops.upload(directory, DROP_ID)
    drops.upload(directory, DROP_ID, limit=1)
    assert names() == {"_SUCCESS", "styles.csv", "images/1.jpg", "styles/1.json"}


def test_success_is_taken_away_first_and_written_last(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1))
    drops.upload(directory, DROP_ID)

    def refuse(uri: str, content: bytes, content_type: str = "") -> None:
        raise OSError("the network is gone")

    monkeypatch.setattr(storage, "write_bytes", refuse)
    with pytest.raises(OSError, match="the network is gone"):
        drops.upload(directory, DROP_ID)
    assert "_SUCCESS" not in names()


def test_files_outside_the_directory_stay_outside(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "drop", line(1), line("../../secret"), line(2))
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    (directory / "images" / "2.jpg").unlink()
    (directory / "images" / "2.jpg").symlink_to(secret)
    drops.upload(directory, DROP_ID)
    assert "images/2.jpg" not in names()
    assert all(storage.read_bytes(URI + name) != b"secret" for name in names())


def test_files_that_no_row_names_stay_behind(bucket: str, tmp_path: Path) -> None:
    directory = small.write_directory(
        tmp_path / "drop", line(1), files={"images/99.jpg": b"x", "styles/notes.txt": b"x"}
    )
    drops.upload(directory, DROP_ID)
    assert names() == {"_SUCCESS", "styles.csv", "images/1.jpg", "styles/1.json"}


def test_progress_is_told(bucket: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    drops.upload(small.write_directory(tmp_path / "d", line(1)), DROP_ID, progress=lambda n, of: told.append((n, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_directory_that_is_not_there_is_named(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="nowhere is no directory"):
        drops.upload(tmp_path / "nowhere", DROP_ID)


def test_a_directory_that_is_no_drop_is_named(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=f"{tmp_path} is no drop: it has no styles.csv"):
        drops.upload(tmp_path, DROP_ID)
    assert names() == set()


@pytest.mark.parametrize(
    ("content", "reason"), [(HEADER, "has no rows"), ("", "other columns"), ("a,b\n1,2", "found a, b")]
)
def test_a_styles_csv_that_is_none_is_refused_before_anything_is_sent(
    bucket: str, tmp_path: Path, content: str, reason: str
) -> None:
    (tmp_path / "styles.csv").write_text(content)
    with pytest.raises(PermanentError, match=reason):
        drops.upload(tmp_path, DROP_ID)
    assert names() == set()
