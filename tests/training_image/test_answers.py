from __future__ import annotations

import pytest

from lookbook_image.answers import parse


def test_an_answer_is_an_attribute_and_a_value() -> None:
    assert parse("Sleeve Length: Long Sleeves") == ("Sleeve Length", "Long Sleeves")


def test_only_the_first_colon_separates() -> None:
    assert parse("Print: Size: 3/4") == ("Print", "Size: 3/4")


@pytest.mark.parametrize("text", ["", "Cotton", "Fabric:", ": Cotton", "Fabric : "])
def test_anything_else_is_no_answer(text: str) -> None:
    assert parse(text) is None
