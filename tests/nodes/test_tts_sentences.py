from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.nodes.tts.sentences import MAX_CHARS, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("No mark at the end", ["No mark at the end"]),
        ('"Stop!" he said. "Why?"', ['"Stop!" he said.', '"Why?"']),
        (
            "Mr. Dashwood met Dr. Who at 3 p.m. today.",
            ["Mr. Dashwood met Dr. Who at 3 p.m. today."],
        ),
        ("Ask J. R. Smith. He knows.", ["Ask J. R. Smith.", "He knows."]),
        ("It costs 3.50 euros. Really.", ["It costs 3.50 euros.", "Really."]),
        ("See example.com for more. Bye.", ["See example.com for more.", "Bye."]),
        ("So did I. Then we left.", ["So did I.", "Then we left."]),
        ("Well... maybe. Sure...", ["Well... maybe.", "Sure..."]),
        ("1. First item", ["1. First item"]),
        ("A heading\n\nIts text\nin two lines.", ["A heading", "Its text in two lines."]),
        ("Buy:\n- bread\n- apples", ["Buy:", "- bread", "- apples"]),
        ("今日は。元気ですか？はい", ["今日は。", "元気ですか？", "はい"]),  # noqa: RUF001
        ("tab\tand\x00nul  and   spaces", ["tab and nul and spaces"]),
    ],
)
def test_text_is_cut_where_a_speaker_would_pause(text: str, expected: list[str]) -> None:
    assert list(sentences(text)) == expected


@pytest.mark.parametrize("text", ["", "   \n\t ", "...", "?!", "— … —", "***\n\n- -", "🙂"])
def test_nothing_to_say_is_nothing(text: str) -> None:
    assert list(sentences(text)) == []


def test_a_sentence_without_end_is_cut_at_a_comma() -> None:
    pieces = list(sentences("and so on, " * 200))
    assert all(len(piece) <= MAX_CHARS for piece in pieces)
    assert all(piece.endswith("on,") for piece in pieces)


@given(st.text(max_size=2000))
def test_no_letter_is_lost(text: str) -> None:
    pieces = list(sentences(text))
    assert all(0 < len(piece) <= MAX_CHARS for piece in pieces)
    assert [c for piece in pieces for c in piece if c.isalnum()] == [c for c in text if c.isalnum()]
