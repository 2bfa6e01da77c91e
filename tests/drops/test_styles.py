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


def test_html_descriptors_are_no_obstacle() -> None:
    html = "<p>It&#39;s &amp; <b>that</b> â€“ \ufffd</p>"
    assert parsed(productDescriptors={"description": {"descriptorType": "description", "value": html}}).problem is None


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
