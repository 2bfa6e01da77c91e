"""Text from a drop made safe to show and to put into a prompt.

Everything a drop states is untrusted: whoever fills in ``styles.csv`` must not be able to end the block of facts in
a prompt, start a line of its own in it, hide characters from a reader, or have a label evaluated as a template.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

MAX_VALUE_LENGTH = 60  # characters; the longest attribute value of 44,446 real products has 37
MAX_VALUE_WORDS = 6  # a longer "value" is prose, and prose is where instructions hide

# "Silk - Price: 1" imitates a line of facts, "%(x)s" a place to fill in; no value of 44,446 real products does either.
_NO_VALUE = re.compile(r":\s|%\(")
_MARKUP = re.compile(r"[<>{}\[\]`|\\]")
# A catalogue has few names and values, each thousands of times.
_REMEMBERED = 8192
_NOT_IN_A_NAME = re.compile(r"[^\w &/'().-]")


def one_line(text: str) -> str:
    """Return ``text`` on one line, without markup, control, format or private characters.

    Look-alikes are folded first (NFKC), so that a full-width ``＜`` is removed as the angle bracket it stands for.
    """
    folded = unicodedata.normalize("NFKC", html.unescape(text))
    visible = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in folded)
    return " ".join(_MARKUP.sub("", visible).split())


@lru_cache(maxsize=_REMEMBERED)
def fact_value(text: str | None) -> str:
    """Return a fact's value fit for a prompt, or ``""`` for text that is no value: too long, or in disguise."""
    value = one_line(text or "").strip("-–—*• ")
    if _NO_VALUE.search(value) or len(value) > MAX_VALUE_LENGTH or len(value.split()) > MAX_VALUE_WORDS:
        return ""
    return value


@lru_cache(maxsize=_REMEMBERED)
def fact_name(text: str) -> str:
    """Return an attribute's name fit for a prompt: it has no colon, which ends the name in a line of facts."""
    return fact_value(_NOT_IN_A_NAME.sub(" ", one_line(text)))


def label(text: str, limit: int = 80) -> str:
    """Return ``text`` fit for a task's label in the UI, cut to ``limit`` characters."""
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
