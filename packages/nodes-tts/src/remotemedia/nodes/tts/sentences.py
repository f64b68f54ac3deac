"""Sentences: where text may be cut so that its beginning is spoken while the rest is made."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_CHARS", "complete", "sentences"]

#: A longer sentence is cut at a comma or a space: engines hold all of one in memory.
MAX_CHARS = 400

#: Marks that end a sentence, with what closes after them; wide ones need no space behind them.
_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』”’）]*")  # noqa: RUF001 - meant
#: A blank line, or one before an item of a list, ends a sentence without any mark.
_BREAK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)")
#: Titles, Latin, companies, months, German: the full stop belongs to the word.
_ABBREVIATION = re.compile(
    r"mr|mrs|ms|dr|prof|st|sr|jr|gen|col|capt|lt|sgt|rev|hon|mt|dept|inc|ltd|corp|fig|vol|approx"
    r"|vs|etc|e\.g|i\.e|cf|al|a\.m|p\.m|u\.s|u\.k|jan|feb|aug|sept?|oct|nov|dec|bzw|z\.b|d\.h|ca"
    r"|nr|evtl|ggf",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:—–](?=\s)|[、，；：]")  # noqa: RUF001 - meant


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text that have something to say.

    Control characters and runs of white space become one space. A piece without any letter or
    digit yields nothing. No sentence is longer than `MAX_CHARS` characters.
    """
    text = "".join(c if c.isspace() or unicodedata.category(c) != "Cc" else " " for c in text)
    for paragraph in _BREAK.split(text):
        for sentence in _split(" ".join(paragraph.split())):
            for piece in _shorten(sentence):
                if any(c.isalnum() for c in piece):
                    yield piece


def complete(text: str) -> tuple[str, str]:
    """Cut text that is still growing: the sentences that have ended, and the rest.

    A sentence has ended when the next one has begun.
    """
    begin = 0
    for end in _END.finditer(text):
        if text[end.end() :].strip() and not _goes_on(text, begin, end):
            begin = end.end()
    return text[:begin], text[begin:]


def _split(text: str) -> Iterator[str]:
    begin = 0
    for end in _END.finditer(text):
        if not _goes_on(text, begin, end):
            yield text[begin : end.end()].strip()
            begin = end.end()
    yield text[begin:].strip()


def _goes_on(text: str, begin: int, end: re.Match[str]) -> bool:
    """Say whether the sentence goes on: after an abbreviation, or as in '"Stop!" he said'."""
    if text[end.end() :].lstrip()[:1].islower():
        return True
    if not end.group().startswith("."):
        return False
    word = text[begin : end.start()].rpartition(" ")[2].lstrip("\"'“«([")
    initial = len(word) == 1 and word.isalpha() and word.isupper() and word != "I"
    number_of_item = word.isdigit() and text[begin : end.start()].strip() == word
    return initial or number_of_item or bool(_ABBREVIATION.fullmatch(word))


def _shorten(sentence: str) -> Iterator[str]:
    while len(sentence) > MAX_CHARS:
        clauses = [m.end() for m in _CLAUSE.finditer(sentence, MAX_CHARS // 4, MAX_CHARS)]
        cut = clauses[-1] if clauses else sentence.rfind(" ", 1, MAX_CHARS + 1)
        if cut <= 0:
            cut = MAX_CHARS
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    yield sentence
