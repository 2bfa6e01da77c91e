from __future__ import annotations

import orjson
import pytest
from tests.drops import small

from lookbook.drops import styles


def parsed(**data: object) -> styles.Styles:
    return styles.parse(orjson.dumps({"notification": {}, "meta": {}, "data": {"id": 1, **data}}), "1")


def test_brand_age_group_and_attributes_are_read() -> None:
    content = orjson.dumps(small.styles(1, Fabric="Cotton", Fit="Slim Fit"))
    result = styles.parse(content, "1")
    assert (result.brand, result.age_group) == ("Orlavane", "Adults-Men")
    assert result.attributes == {"Fabric": "Cotton", "Fit": "Slim Fit"}
    assert result.problem is None
    assert len(result.sha256 or "") == 64


def test_raw_values_are_kept_but_for_whitespace_and_mojibake() -> None:
    result = parsed(articleAttributes={"Fabric": " Pure  Cotton", "Neck": "NA", "Note": "CafÃ©", "Count": 2})
    assert result.attributes == {"Fabric": "Pure Cotton", "Neck": "NA", "Note": "Café", "Count": "2"}


@pytest.mark.parametrize("attributes", [{}, None])
def test_a_product_may_state_no_attributes(attributes: object) -> None:
    assert parsed(articleAttributes=attributes).attributes == {}
    assert parsed().attributes == {}


def test_values_that_are_no_text_are_left_out() -> None:
    assert parsed(articleAttributes={"Fabric": ["Cotton"], "Fit": None, "Neck": {"a": 1}}).attributes == {}


def test_empty_texts_are_missing() -> None:
    result = parsed(brandName="", ageGroup=None)
    assert (result.brand, result.age_group) == (None, None)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>It&#39;s &amp; <b>th</b>at</p><p>more<br />and&nbsp;more", "It's & that more and more"),
        ("plain  text", "plain text"),
        ("<ul><li>one</li><li>two</li></ul>", "one two"),
        ("<style>p {color: red}</style><script>alert(1)</script>Kept", "Kept"),
        ("caf\u00c3\u00a9 \u00e2\u20ac\u201c bar", "café – bar"),
        ("caf&Atilde;&copy;", "café"),
        ("1 < 2", "1 < 2"),
        ("<<<>>>&&&;", "<<<>>>&&&;"),
        ("<p></p>", ""),
    ],
)
def test_html_becomes_plain_text(html: str, text: str) -> None:
    assert styles.plain_text(html) == text


def test_descriptors_are_kept_by_name_without_empty_ones() -> None:
    said = {"description": {"value": "<p>A</p>"}, "empty": {"value": "<p> </p>"}, "number": {"value": 3}, "odd": "x"}
    assert parsed(productDescriptors=said).descriptors == {"description": "A"}
    assert parsed(productDescriptors=None).descriptors == parsed(productDescriptors=[1]).descriptors == {}


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b'"text"', b"{}", b"\xff\xfe", b"[" * 5000),
        *(b'{"data": null}', b'{"data": []}', b'{"data": {"id": null}}', b'{"data": {"id": "x"}}'),
        *(b'{"data": {"id": 1, "articleAttributes": [1]}}', b'{"data": {"id": 1, "articleAttributes": "text"}}'),
    ],
)
def test_damaged_json_is_reported_not_raised(content: bytes) -> None:
    result = styles.parse(content, "1")
    assert result.problem == "json_unreadable"
    assert result.detail
    assert result.attributes == {}


def test_the_json_of_another_product_is_not_used() -> None:
    result = styles.parse(orjson.dumps(small.styles(2, Fabric="Cotton")), "1")
    assert (result.problem, result.attributes) == ("json_of_another_product", {})
    assert result.detail == "it is about product 2"
