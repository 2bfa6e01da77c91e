"""The file that quarantined rows go out in and come back in."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drops.small import line

from lookbook.catalog import mended_files
from lookbook.catalog.mended_files import HEADER, QuarantinedRow, cell, text_of
from lookbook.drops import lines
from lookbook.errors import PermanentError

TOP = ",".join(HEADER[:11])


def row(raw_line: str, line_number: int = 2) -> QuarantinedRow:
    return QuarantinedRow(line_number, lines.fields_of(raw_line), ("bad_year", "picture_missing"), "year 'x'", raw_line)


def written(*rows: QuarantinedRow) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(mended_files.write(rows))))


def test_a_row_goes_out_with_its_line_its_fields_and_why_it_was_rejected() -> None:
    [found] = written(row(line(7, year="x"), line_number=12))
    assert tuple(found) == HEADER
    assert (found["line_number"], found["id"], found["year"]) == ("12", "7", "x")
    assert (found["reasons"], found["detail"]) == ("bad_year; picture_missing", "year 'x'")
    assert found["raw_line"] == line(7, year="x")


def test_a_row_that_is_too_short_goes_out_as_far_as_it_goes() -> None:
    [found] = written(row("7,Men,Apparel"))
    assert [found[column] for column in lines.COLUMNS] == ["7", "Men", "Apparel", *[""] * 7]


def test_what_comes_back_untouched_is_what_went_out() -> None:
    rows = [row(line(7, name='3.5" Cuff, "Slim"'), 2), row("7,Men", 3), row(line(8, name="=1+1"), 9)]
    parsed = mended_files.parse(mended_files.write(rows).encode(), "mended.csv")
    assert list(parsed) == [2, 3, 9]
    told = [{name: text_of(value) for name, value in cells.items()} for cells in parsed.values()]
    assert told == [dict(one.fields) for one in rows]


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "'=1", "''=1", "\t=1", " =1", "＝1", "＠x", "=\t1"]
)
def test_a_formula_goes_out_as_text(text: str) -> None:
    [found] = written(row(f"7,{text}"))
    assert not any(value.startswith(tuple("=+-@\t\r ＝＋－＠")) for value in found.values())
    assert text_of(cell(text)) == cell(text).removeprefix("'")


@pytest.mark.parametrize("text", ["Men's Shirt", "'Slim' Fit", "Blue-Grey", "a=b", ""])
def test_a_text_that_is_no_formula_goes_out_as_it_is(text: str) -> None:
    assert cell(text) == text_of(text) == text


@given(st.text())
def test_every_printable_text_comes_back(text: str) -> None:
    shown = cell(text)
    assert text_of(shown) == "".join(char if char.isprintable() else "�" for char in text)
    assert shown.isprintable()


def test_a_long_raw_line_is_cut_so_that_the_file_can_be_read_again() -> None:
    short = lines.fields_of("7,Men")
    content = mended_files.write([QuarantinedRow(2, short, ("too_few_fields",), None, "7,Men" + "x" * 500_000)])
    assert mended_files.parse(content.encode(), "mended.csv") == {2: short}


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff{TOP}\n5,{line(7)}\n".encode(),
        f"{TOP}\r\n5,{line(7)}\r\n\r\n".encode(),
        f"{TOP}\n5,{line(7)}\n,,,,,,,,,,\n".encode(),
        f"my notes,{TOP}\nlook here,5,{line(7)}\n".encode(),
    ],
)
def test_what_spreadsheets_and_people_make_of_the_file_is_read(content: bytes) -> None:
    parsed = mended_files.parse(content, "mended.csv")
    assert parsed == {5: lines.fields_of(line(7))}


def test_windows_1252_is_read() -> None:
    parsed = mended_files.parse(f"{TOP}\n5,{line(7, name='Café')}\n".encode("cp1252"), "mended.csv")
    assert parsed[5]["productDisplayName"] == "Café"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"line_number, id, .* is missing; found nothing"),
        (b"id;gender\n", r"is missing; found id;gender. Begin with the file that `make quarantine` writes"),
        (f"{TOP},year\n".encode(), r"mended\.csv has not .*: year is there twice"),
        (f"{TOP}\n5,7,Men\n".encode(), r"mended\.csv, line 2 has 3 cells, expected 11"),
        (f"{TOP}\nfive,{line(7)}\n".encode(), r"line 2 has line_number 'five', expected the number"),
        (f"{TOP}\n٥,{line(7)}\n".encode(), r"line 2 has line_number '٥', expected the number"),
        (f"{TOP}\n5,{line(7)}\n5,{line(8)}\n".encode(), r"has line_number 5 twice \(again in line 3\)"),
        (f'{TOP}\n5,"7"x,{line(7)}\n'.encode(), r"mended\.csv, line 2 is no CSV"),
        (b"\xff\x81", r"neither UTF-8 nor Windows-1252"),
    ],
)
def test_what_is_no_such_file_is_refused_with_the_place(content: bytes, problem: str) -> None:
    with pytest.raises(PermanentError, match=problem):
        mended_files.parse(content, "mended.csv")
