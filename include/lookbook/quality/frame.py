"""The table that expectations look at: candidates, plus columns that make cross-row and cross-field rules plain."""

from __future__ import annotations

import re
from functools import lru_cache

import pandas as pd
import pyarrow as pa

from lookbook.drops import vocabulary
from lookbook.drops.vocabulary import BASE_COLOUR, Vocabulary

_PLAIN = [
    "drop_id",
    "product_id",
    "display_name",
    "gender",
    "age_group",
    "master_category",
    "sub_category",
    "article_type",
    "base_colour",
    "season",
    "year",
    "usage",
    "picture_sha256",
    "picture_phash",
    "line_number",
    "row_problem",
    "picture_problem",
    "styles_problem",
    "problem_detail",
]
COLUMNS = [*_PLAIN, "attributes"]
_GENDERS = re.compile(r"\b(men|women|boys|girls)\b", re.IGNORECASE)
# Words of the vocabulary that name no colour of their own.
_NO_COLOUR = {"Multi"}


def build(candidates: pa.Table) -> pd.DataFrame:
    """Return the candidates' columns that expectations use, in the candidates' order, with the derived ones.

    Each is null where there is nothing to say: ``occurrence`` (1 for the first readable row of an id, 2 for the next),
    ``same_picture_as`` (id of the first product with the same picture's bytes), ``alike_picture_as`` (with other bytes
    and the same perceptual hash), ``unknown_attributes``, ``colour_in_name`` and ``gender_in_name`` (what a name says
    where it contradicts the row), ``kids_as_adults`` (the age group of children that are labelled Men or Women), and
    ``attribute <name>`` for each attribute of the vocabulary.
    """
    frame: pd.DataFrame = candidates.select(_PLAIN).to_pandas()
    words = vocabulary.load()
    readable = frame["row_problem"].isna()
    frame["occurrence"] = (frame[readable].groupby("product_id").cumcount() + 1).reindex(frame.index)
    products = frame[frame["occurrence"] == 1]
    frame["same_picture_as"] = _same_picture(products, "picture_sha256").reindex(frame.index)
    alike = _same_picture(products, "picture_phash").reindex(frame.index)
    frame["alike_picture_as"] = alike.where(frame["same_picture_as"].isna())
    attributes = [dict(pairs or ()) for pairs in candidates["attributes"].to_pylist()]
    frame["unknown_attributes"] = _texts(_unknown(words, stated) for stated in attributes)
    for name in words.attributes:
        frame[f"attribute {name}"] = _texts(stated.get(name) for stated in attributes)
    names, colours = frame["display_name"].tolist(), frame["base_colour"].tolist()
    frame["colour_in_name"] = _texts(map(_contradicting_colour, names, colours))
    frame["gender_in_name"] = _texts(map(_contradicting_gender, names, frame["gender"].tolist()))
    kids = frame["age_group"].str.startswith("Kids").fillna(False).astype(bool)
    frame["kids_as_adults"] = frame["age_group"].where(kids & frame["gender"].isin(["Men", "Women"]))
    return frame


def _texts(values: object) -> pd.Series:
    return pd.Series(list(values), dtype="str")  # type: ignore[call-overload]


def _same_picture(products: pd.DataFrame, checksum: str) -> pd.Series:
    usable = products[products["picture_problem"].isna()]
    first = usable.groupby(checksum)["product_id"].transform("first")
    return first.where(first != usable["product_id"])


def _unknown(words: Vocabulary, attributes: dict[str, str]) -> str | None:
    """Return the stated values that the vocabulary does not know; colours have an expectation of their own."""
    unknown = [f"{n}: {v}" for n, v in attributes.items() if n != BASE_COLOUR and not words.knows(n, v)]
    return "; ".join(unknown) or None


@lru_cache(maxsize=1)
def _colour_words() -> tuple[re.Pattern[str], dict[str, str]]:
    colours = [colour for colour in vocabulary.load().values[BASE_COLOUR] if colour not in _NO_COLOUR]
    longest_first = sorted(colours, key=len, reverse=True)
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)
    return pattern, {colour.casefold(): colour for colour in colours}


def _contradicting_colour(name: object, base_colour: object) -> str | None:
    """Return the colours that a name says when none of them goes with the base colour (Navy Blue goes with Blue)."""
    if not isinstance(name, str) or not isinstance(base_colour, str) or base_colour == "NA":
        return None
    pattern, colours = _colour_words()
    named = sorted({colours[word.casefold()] for word in pattern.findall(name)})
    if any(set(colour.split()) & set(base_colour.split()) for colour in named):
        return None
    return ", ".join(named) or None


def _contradicting_gender(name: object, gender: object) -> str | None:
    if not isinstance(name, str) or not isinstance(gender, str) or gender == "Unisex":
        return None
    named = sorted({word.capitalize() for word in _GENDERS.findall(name)})
    return None if gender in named else ", ".join(named) or None
