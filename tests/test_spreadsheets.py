"""CSV that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io

import pytest

from lookbook.spreadsheets import as_csv


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", '=HYPERLINK("http://x","y")']
)
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    (told,) = read(as_csv(["text", "list"], [{"text": text, "list": [text, "second"]}]))
    assert told == {"text": f"'{text}", "list": f"'{text}\nsecond"}


def test_what_a_text_holds_stays_in_its_cell() -> None:
    text = 'a "quoted", twice;=1+1\r\n"next'
    content = as_csv(["text", "list", "nothing"], [{"text": text, "list": ["a,b", 'c"d'], "nothing": None}])
    assert read(content) == [{"text": text, "list": 'a,b\nc"d', "nothing": ""}]
    assert b";=1+1" in content and content.startswith(b'"text","list"')


def test_numbers_stay_numbers() -> None:
    assert as_csv(["a", "b"], [{"a": -1, "b": 0.5}]) == b'"a","b"\r\n"-1","0.5"\r\n'
