"""Is a text plain prose in its language: no markup, no links, no foreign letters, nothing of the prompt's own words?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator
from functools import lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from lookbook.descriptions import lexicon
from lookbook.descriptions.wording import words

_MARKUP = re.compile(r"[<>{}\[\]|\\`*_#^~=]|&\w+;|\(\(|\)\)")
_LINK = re.compile(r"https?:|www\.|\w@\w|\b\w+\.(?:com|net|org|in|io|co|info|biz|shop|ru|cn|me|uk|eu)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")
_INVISIBLE = ("Cc", "Cf", "Co", "Cn", "Zl", "Zp")
_QUOTED = 7  # so many words in a row of the instructions are no accident
_ENOUGH = 25  # characters; the language of less is a guess
_FEWEST = 5  # words; so is that of fewer
# Little words by language: one of those that few other languages have, or two of the others, settles a sentence.
_TELLING = {
    "en": {"the", "and", "with", "it", "its", "that", "this", "you", "your", "from", "has", "they", "their", "every"}
}
_COMMON = {"en": {"of", "for", "to", "by", "is", "who", "when"}}
_SURE = 0.5  # probability that makes a language of a whole text another one
_SURE_OF_A_SENTENCE = 0.9


def faults(text: str, instructions: str) -> list[str]:
    """Return what of a text is no plain prose, each as a clause: ``holds markup``.

    Args:
        text: one part of a product's text.
        instructions: the prompt's system text, which no part may repeat.
    """
    return list(_faults(text, instructions))


def _faults(text: str, instructions: str) -> Iterator[str]:
    if _MARKUP.search(text):
        yield "holds markup"
    if _LINK.search(text):
        yield "holds a link or an address"
    if not text.isprintable() and any(unicodedata.category(char) in _INVISIBLE for char in text):
        yield "holds invisible characters"
    if not text.isascii() and any(char.isalpha() and not _is_latin(char) for char in text):
        yield "holds letters of another script"
    if _runs(text) & _runs(instructions):
        yield "repeats its instructions"


def other_language(text: str, code: str, own: Container[str] = ()) -> str | None:
    """Return the code of the language that a text is in, or a sentence of it, if that isn't ``code``; else ``None``.

    A sentence with little words of the language, or mostly of values, is taken for one of it: telling languages apart
    takes a model that is loaded when it is first needed.

    Args:
        text: prose.
        code: ISO 639-1 code of the language that it should be in.
        own: words of the product's facts, which belong to no language: a brand may be anything.
    """
    doubtful = [(sentence, _SURE_OF_A_SENTENCE) for sentence in _sentences(text) if _is_doubtful(sentence, code, own)]
    for passage, sure in [(text, _SURE), *doubtful] if doubtful else ():
        found, probability = _identifier().classify(passage)
        if found != code and probability >= sure:
            return str(found)
    return None


def _sentences(text: str) -> list[str]:
    return _SENTENCE_END.split(text)


def _is_doubtful(sentence: str, code: str, own: Container[str]) -> bool:
    read = words(sentence)
    if len(sentence) < _ENOUGH or len(read) < _FEWEST:
        return False
    settled = _TELLING[code].intersection(read) or len(_COMMON[code].intersection(read)) > 1
    return not settled and sum(word in own or word in _value_words() for word in read) < len(read) / 2


@lru_cache(maxsize=1)
def _value_words() -> frozenset[str]:
    return frozenset(word for phrase in lexicon.load().phrases for word in phrase)


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _is_latin(char: str) -> bool:
    return unicodedata.name(char, "").startswith(("LATIN", "FEMININE ORDINAL", "MASCULINE ORDINAL"))


@lru_cache(maxsize=64)
def _runs(text: str) -> frozenset[tuple[str, ...]]:
    read = words(text)
    return frozenset(read[at : at + _QUOTED] for at in range(len(read) - _QUOTED + 1))
