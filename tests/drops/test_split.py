from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tests.conftest import REAL_DATA
from tests.drops import small
from tests.drops.small import HEADER, line

from lookbook import storage
from lookbook.drops import lines, split
from lookbook.errors import PermanentError

SUMMER = {"season": "Summer", "year": "2012"}
FALL = {"season": "Fall", "year": "2011"}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Five products: two of Summer 2012, one of Fall 2011, one without a season, one line that can't be read."""
    rows = [line(1, **SUMMER), line(2, "Shirt, blue", **FALL), line(3, **SUMMER), line(4, season="", year="2012")]
    directory = small.write_directory(tmp_path / "catalogue", *rows, "5,Men,Apparel")
    (directory / "images.csv").write_text("filename,link\n" + "".join(f"{n}.jpg,http://x/{n}\n" for n in range(1, 5)))
    return directory


def run(catalogue: Path, *options: str) -> Path:
    out = catalogue.parent / "out"
    assert split.main([str(catalogue), str(out), *options]) == 0
    return out


def drops(out: Path) -> dict[str, list[str]]:
    """Return each drop's lines after the header."""
    return {
        path.name: (path / "styles.csv").read_text().splitlines()[1:] for path in sorted(out.iterdir()) if path.is_dir()
    }


def test_a_drop_a_year_and_season_dated_by_its_first_monday(catalogue: Path) -> None:
    assert {name: len(rows) for name, rows in drops(run(catalogue)).items()} == {
        "2011-09-05": 1,
        "2012-06-04": 2,
        "2012-06-11": 2,
    }


def test_rows_that_tell_no_season_go_to_the_drop_that_was_stated(catalogue: Path) -> None:
    rows = drops(run(catalogue, "--undated", "2010-01-04"))["2010-01-04"]
    assert [row.split(",")[0] for row in rows] == ["4", "5"]


def test_every_line_is_kept_as_it_is_in_exactly_one_drop(catalogue: Path) -> None:
    before = (catalogue / "styles.csv").read_text().splitlines()
    out = run(catalogue)
    assert sorted(row for rows in drops(out).values() for row in rows) == sorted(before[1:])
    assert all((path / "styles.csv").read_text().startswith(f"{HEADER}\n") for path in out.iterdir())


def test_carriage_returns_and_bytes_that_are_no_utf8_are_kept(tmp_path: Path) -> None:
    directory = small.write_directory(tmp_path / "catalogue", line(1))
    content = f"{HEADER}\r\n{line(1, 'Café', **SUMMER)}\r\n{line(2, **FALL)}\r\n".encode("latin-1")
    (directory / "styles.csv").write_bytes(content)
    out = run(directory)
    assert (out / "2012-06-04" / "styles.csv").read_bytes() == content.replace(line(2, **FALL).encode() + b"\r\n", b"")


def test_a_row_that_spans_lines_stays_whole(tmp_path: Path) -> None:
    spanning = line(1, '"Shirt\nin two lines"', **SUMMER)
    directory = small.write_directory(tmp_path / "catalogue", spanning, line(2, **FALL))
    assert drops(run(directory))["2012-06-04"] == spanning.split("\n")


def test_pictures_and_json_go_along_without_taking_space(catalogue: Path) -> None:
    drop = run(catalogue) / "2012-06-04"
    files = {path.relative_to(drop).as_posix() for path in drop.rglob("*") if path.is_file()}
    names = {"images/1.jpg", "images/3.jpg", "styles/1.json", "styles/3.json"}
    assert files == {*names, "styles.csv", "images.csv", "_SUCCESS"}
    assert all((drop / name).samefile(catalogue / name) for name in names)
    assert (drop / "images.csv").read_text() == "filename,link\n1.jpg,http://x/1\n3.jpg,http://x/3\n"


def test_so_many_products_a_week(catalogue: Path) -> None:
    out = run(catalogue, "--per-week", "2", "--first", "2026-11-02")
    assert {name: [row.split(",")[0] for row in rows] for name, rows in drops(out).items()} == {
        "2026-11-02": ["1", "2"],
        "2026-11-09": ["3", "4"],
        "2026-11-16": ["5"],
    }


def test_a_dry_run_prints_the_plan_and_writes_nothing(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run(catalogue, "--dry-run").exists()
    assert capsys.readouterr().out.splitlines() == [
        "2011-09-05       1 rows  Fall 2011",
        "2012-06-04       2 rows  Summer 2012",
        "2012-06-11       2 rows  no year or season",
        "3 drops, 5 rows",
    ]


def test_the_drops_can_be_uploaded_at_once(catalogue: Path, bucket: str) -> None:
    run(catalogue, "--upload")
    complete = [stored.uri for stored in storage.list_objects("s3://lookbook/drops/") if "_SUCCESS" in stored.uri]
    assert complete == [
        f"s3://lookbook/drops/{monday}/_SUCCESS" for monday in ("2011-09-05", "2012-06-04", "2012-06-11")
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--undated", "2012-06-04"], "is the date of another drop"),
        (["--undated", "2012-06-05"], "named by the Monday"),
        (["--per-week", "2", "--first", "2012-06-05"], "named by the Monday"),
        (["--per-week", "0"], "takes no product"),
    ],
)
def test_a_plan_that_can_not_be_is_refused(
    catalogue: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = catalogue.parent / "out"
    assert split.main([str(catalogue), str(out), *options]) == 2
    assert reason in capsys.readouterr().err
    assert not out.exists()


def test_a_drop_that_is_there_is_not_written_over(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(catalogue)
    before = drops(out)
    assert split.main([str(catalogue), str(out)]) == 2
    assert "holds 2011-09-05, 2012-06-04, 2012-06-11 already" in capsys.readouterr().err
    assert drops(out) == before


def test_rows_of_which_none_is_dated_need_a_date() -> None:
    rows = list(lines.read_rows(f"{HEADER}\n{line(1, season='', year='')}\n".encode()))
    with pytest.raises(PermanentError, match="--undated"):
        split.plan_by_season(rows)
    assert [drop.drop_id for drop in split.plan_by_season(rows, "2012-01-02")] == ["2012-01-02"]


def test_the_real_catalogue_is_cut_without_losing_a_row() -> None:
    path = REAL_DATA / "kaggle_fashion" / "styles.csv"
    if not path.is_file():
        pytest.skip(f"the real catalogue is not at {path}")
    plan = split.plan_by_season(list(lines.read_rows(path.read_bytes())))
    sizes = Counter({drop.drop_id: len(drop.rows) for drop in plan})
    assert (len(plan), sizes.total()) == (43, 44_446)
    assert (sizes["2012-06-04"], sizes["2011-09-05"], sizes["2019-06-10"]) == (13_129, 8_749, 21)
    assert plan[-1].label == "no year or season"
