from __future__ import annotations

import pytest

from lookbook.drops import vocabulary
from lookbook.drops.sample.garments import COLOURS, FABRICS, FITS, KINDS, PATTERNS, SLEEVE_LENGTHS, SLEEVE_STYLINGS
from lookbook.drops.sample.products import SYNONYMS


@pytest.mark.parametrize(
    ("attribute", "raw", "value"),
    [
        ("Fabric", "Pure Cotton", "Cotton"),
        ("Fabric", "Cotton Blend", "Blended"),
        ("Fabric", " pure  cotton ", "Cotton"),
        ("Sleeve Length", "No Sleeves", "Sleeveless"),
        ("Fit", "Loose", "Loose Fit"),
        ("Fit", "SLIM FIT", "Slim Fit"),
        ("baseColour", "Navy Blue", "Navy Blue"),
        ("Fabric", "Unobtainium", "Unobtainium"),
        ("Fabric", "NA", None),
        ("baseColour", "NA", None),
        ("Fabric", "", None),
    ],
)
def test_values_are_said_the_platforms_way(attribute: str, raw: str, value: str | None) -> None:
    assert vocabulary.load().value(attribute, raw) == value


def test_attributes_come_in_the_vocabularys_order_and_others_are_left_out() -> None:
    raw = {"baseColour": "Blue", "Occasion": "Casual", "Fit": "Loose", "Fabric": "NA"}
    assert list(vocabulary.load().normalise(raw).items()) == [("Fit", "Loose Fit"), ("baseColour", "Blue")]


def test_an_unknown_value_is_kept_and_known_as_unknown() -> None:
    words = vocabulary.load()
    assert words.knows("Fabric", "Cotton")
    assert not words.knows("Fabric", "Unobtainium")
    assert not words.knows("Occasion", "Casual")


def test_every_synonym_leads_to_a_value() -> None:
    words = vocabulary.load()
    for attribute, values in words.values.items():
        assert len(set(values)) == len(values)
        assert {words.value(attribute, value) for value in values} == set(values)


def test_the_sample_speaks_the_vocabulary() -> None:
    values = vocabulary.load().values
    necks = {neck for kind in KINDS for neck in kind.necks}
    collars = {collar for kind in KINDS for collar in kind.collars}
    spoken = {
        "Fabric": FABRICS,
        "Fit": FITS,
        "Pattern": PATTERNS,
        "Sleeve Length": SLEEVE_LENGTHS,
        "Sleeve Styling": SLEEVE_STYLINGS,
        "Neck": necks,
        "Collar": collars,
        "baseColour": COLOURS,
    }
    assert all(set(said) <= set(values[attribute]) for attribute, said in spoken.items())


def test_the_samples_synonyms_are_led_back() -> None:
    words = vocabulary.load()
    for value, synonym in SYNONYMS.items():
        speaking = [
            attribute for attribute in words.attributes if words.knows(attribute, value) and attribute != "Material"
        ]
        assert speaking
        assert {words.value(attribute, synonym) for attribute in speaking} == {value}


def test_there_is_no_other_version() -> None:
    with pytest.raises(FileNotFoundError):
        vocabulary.load("v0")
