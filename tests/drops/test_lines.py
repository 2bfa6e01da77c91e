from __future__ import annotations

from dataclasses import replace

import pytest
from tests.drops.small import HEADER, line

from lookbook.drops import lines
from lookbook.drops.lines import Row
from lookbook.errors import PermanentError


def rows(*texts: str | bytes, header: bytes = HEADER.encode(), end: bytes = b"\n") -> list[Row]:
    encoded = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return list(lines.read_rows(end.join([header, *encoded, b""])))


def only(*texts: str | bytes) -> Row:
    (row,) = rows(*texts)
    return row


def test_a_plain_line_is_read_without_repairs() -> None:
    row = only(line(7))
    assert row.fields["id"] == "7"
    assert row.fields["productDisplayName"] == "Orlavane Men Blue Shirt"
    assert (row.problem, row.repairs, row.line_number) == (None, (), 2)


def test_unquoted_commas_stay_in_the_name() -> None:
    row = only(line(name="Boss Men Perfume, After Shave Balm, and Shower Gel Set"))
    assert row.fields["productDisplayName"] == "Boss Men Perfume, After Shave Balm, and Shower Gel Set"
    assert row.fields["usage"] == "Casual"
    assert row.repairs == ("stray_comma",)


def test_an_unescaped_quote_stays_in_the_name_and_swallows_nothing() -> None:
    first, second = rows(line(1, 'Tempo 3.5" Pink Short'), line(2))
    assert first.fields["productDisplayName"] == 'Tempo 3.5" Pink Short'
    assert first.repairs == ("stray_quote",)
    assert second.fields["id"] == "2"


def test_a_name_that_opens_with_a_lone_quote_swallows_nothing() -> None:
    first, second = rows(line(1, '"Tempo Short'), line(2))
    assert first.fields["productDisplayName"] == '"Tempo Short'
    assert second.fields["id"] == "2"


def test_a_lone_quote_and_commas_are_both_mended() -> None:
    row = only(line(name='Tempo 3.5", Pink, Short'))
    assert row.fields["productDisplayName"] == 'Tempo 3.5", Pink, Short'
    assert set(row.repairs) == {"stray_quote", "stray_comma"}


def test_properly_quoted_fields_are_read_as_csv() -> None:
    row = only('"1","Men","Apparel","Topwear","Shirts","Blue","Fall","2026","Casual","A ""fine"" shirt, blue"')
    assert row.fields["productDisplayName"] == 'A "fine" shirt, blue'
    assert row.repairs == ()


def test_a_quoted_name_may_span_lines() -> None:
    first, second = rows(line(1, '"A shirt'), 'of two lines, blue"', line(2))
    assert first.fields["productDisplayName"] == "A shirt of two lines, blue"
    assert (first.line_number, first.line_count) == (2, 2)
    assert (second.fields["id"], second.line_number) == ("2", 4)


def test_windows_line_ends_and_a_byte_order_mark_are_accepted() -> None:
    content = b"\xef\xbb\xbf" + b"\r\n".join([HEADER.encode(), line(1).encode(), line(2).encode(), b""])
    lines.check_header(content, "styles.csv")
    assert [row.fields["productDisplayName"] for row in lines.read_rows(content)] == ["Orlavane Men Blue Shirt"] * 2


def test_old_line_ends_are_accepted() -> None:
    assert [row.fields["id"] for row in rows(line(1), line(2), end=b"\r")] == ["1", "2"]


def test_latin_1_is_read_and_counted() -> None:
    row = only(line(name="Café Blue Shirt").encode("latin-1"))
    assert row.fields["productDisplayName"] == "Café Blue Shirt"
    assert row.repairs == ("latin_1",)


def test_bytes_of_no_encoding_are_read_all_the_same() -> None:
    assert only(line(name="Blue Shirt").encode() + b"\x81\xff").fields["productDisplayName"].startswith("Blue Shirt")


def test_mojibake_in_a_name_is_mended() -> None:
    row = only(line(name="Blue Shirt – Café".encode().decode("cp1252")))
    assert row.fields["productDisplayName"] == "Blue Shirt – Café"
    assert row.repairs == ("mojibake",)


def test_names_in_other_languages_are_left_alone() -> None:
    row = only(line(name="Blusa de algodón · シャツ"))
    assert (row.fields["productDisplayName"], row.repairs) == ("Blusa de algodón · シャツ", ())


def test_whitespace_is_normalised() -> None:
    row = only(line(name=" Orlavane  Men Blue\tShirt "))
    assert row.fields["productDisplayName"] == "Orlavane Men Blue Shirt"
    assert row.repairs == ("whitespace",)


def test_na_is_kept_apart_from_empty() -> None:
    row = only(line(baseColour="NA", usage="", season=""))
    assert (row.fields["baseColour"], row.fields["usage"], row.fields["season"]) == ("NA", "", "")


def test_a_line_with_too_few_fields_keeps_its_id_and_its_text() -> None:
    row = only("42,Men,Apparel")
    assert (row.problem, row.detail, row.fields, row.raw_line) == (
        "too_few_fields",
        "3 of 10 fields",
        {"id": "42"},
        "42,Men,Apparel",
    )


@pytest.mark.parametrize(
    "product_id",
    ["../../x", "/etc/passwd", "", "-1", "1.0", "٣٤", "10" * 15, "1/2", "1 2", "=1+1", "x" * 10_000],
)
def test_an_id_that_is_not_plain_digits_is_refused(product_id: str) -> None:
    row = only(line(product_id))
    assert (row.problem, row.fields) == ("bad_product_id", {})


def test_a_year_that_is_none_shows_that_columns_have_shifted() -> None:
    row = only("5,Men,Apparel,Topwear,Shirts,Blue,Light,Fall,2026,Casual,Shirt")
    assert (row.problem, row.detail) == ("bad_year", "year 'Fall', expected four digits")


@pytest.mark.parametrize("year", ["", "NA", "2026"])
def test_a_year_may_be_missing(year: str) -> None:
    assert only(line(year=year)).problem is None


def test_blank_lines_are_no_rows_but_count_as_lines() -> None:
    assert [row.line_number for row in rows("", line(1), "   ", line(2), "")] == [3, 5]


def test_a_very_long_field_is_read() -> None:
    assert len(only(line(name='"' + "x" * 200_000 + '"')).fields["productDisplayName"]) >= 200_000


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"id,gender,masterCategory", "found id, gender, masterCategory;"),
        (b"", "found nothing;"),
        (HEADER.replace("baseColour", "colour").encode(), "colour"),
        (HEADER.encode("utf-16"), r"\x00"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "JFIF"),
    ],
)
def test_other_columns_are_named_beside_those_expected(header: bytes, found: str) -> None:
    with pytest.raises(PermanentError) as failure:
        lines.check_header(header + b"\n1,2,3\n", "s3://lookbook/drops/x/styles.csv")
    assert found in str(failure.value)
    assert "s3://lookbook/drops/x/styles.csv" in str(failure.value)
    assert "expected id, gender, masterCategory, subCategory" in str(failure.value)


def test_a_quoted_header_is_a_header() -> None:
    lines.check_header((",".join(f'"{column}"' for column in lines.COLUMNS) + "\r\n").encode(), "styles.csv")


def test_the_fields_of_a_line_can_be_told_as_far_as_they_go() -> None:
    assert lines.fields_of("7,Men, Apparel ,Topwear") == dict.fromkeys(lines.COLUMNS, "") | {
        "id": "7",
        "gender": "Men",
        "masterCategory": "Apparel",
        "subCategory": "Topwear",
    }


def test_fields_from_elsewhere_make_the_row_that_a_line_makes() -> None:
    text = line(7, name="Boss  Shirt")
    row = only(text)
    assert lines.row_of(lines.fields_of(text), 2, 1, text, ("mended",)) == replace(row, repairs=("mended",))


def test_fields_from_elsewhere_are_not_trusted_either() -> None:
    row = lines.row_of(lines.fields_of(line("../../x")), 2, 1, "../../x")
    assert (row.problem, row.fields) == ("bad_product_id", {})
