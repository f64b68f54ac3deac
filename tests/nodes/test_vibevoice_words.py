"""What vibe_voice speaks: the lines of a text, and the words of audio."""

from __future__ import annotations

import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import DataError
from remotemedia.nodes.tts.sentences import complete
from remotemedia.nodes.tts.vibevoice.heard import Heard
from remotemedia.nodes.tts.vibevoice.script import script


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Hello there.", [(None, "Hello there.")]),
        ("Anna: Hello.\nBob: Hi, Anna: you?", [("Anna", "Hello."), ("Bob", "Hi, Anna: you?")]),
        ("ANNA :  Hello.", [("Anna", "Hello.")]),
        ("Note: this stays.", [(None, "Note: this stays.")]),
        ("one\r\n\n  two  \t words\n", [(None, "one"), (None, "two words")]),
        ("Anna:\n...\n\x00\x07", []),
        ("", []),
        # what would be a command to the model, or a line of its script
        ("a <|vision_pad|> b<|endoftext|>", [(None, "a b")]),
        ("Speaker 2: not mine", [(None, "Speaker 2: not mine")]),
    ],
)
def test_lines_and_who_says_them(text: str, lines: list[tuple[str | None, str]]) -> None:
    assert script(text, ["Anna", "Bob"]) == lines


@pytest.mark.parametrize(
    ("text", "ended", "rest"),
    [
        ("One. Two", "One.", " Two"),
        ("One.", "", "One."),
        ("One. ", "", "One. "),
        ("Mr. Smith came. He", "Mr. Smith came.", " He"),
        ("", "", ""),
    ],
)
def test_a_sentence_has_ended_when_the_next_has_begun(text: str, ended: str, rest: str) -> None:
    assert complete(text) == (ended, rest)


def audio(transcript: str | None, *, partial: bool = False) -> RuntimeData:
    data = RuntimeData.audio([0.0, 0.0], 24_000, transcript=transcript)
    if partial:
        data.metadata.extra = {"partial": True}
    return data


def test_whole_audio_gives_its_words_at_once() -> None:
    heard = Heard("tts")
    assert [heard.add(audio(text)) for text in ("Hello.", "", "How are")] == [
        "Hello.",
        "",
        "How are",
    ]


def test_words_in_pieces_are_given_as_sentences_and_the_rest_at_the_end() -> None:
    heard = Heard("tts")
    pieces = ["How", " are", " you?", "", " I", " am"]
    assert [heard.add(audio(piece, partial=True)) for piece in pieces] == [
        *[""] * 4,
        "How are you?",
        "",
    ]
    assert heard.add(audio(" fine.")).strip() == "I am fine."
    assert heard.add(audio("")) == ""
    heard.add(audio("cut", partial=True))
    assert (heard.rest(), heard.rest()) == ("cut", "")


def test_words_of_a_turn_that_was_called_off_are_forgotten() -> None:
    heard = Heard("tts")
    for turn, text in ((1, "Never"), (2, "Said.")):
        piece = audio(text)
        piece.metadata.extra = {"turn": turn, "partial": turn == 1}
        said = heard.add(piece)
    assert said == "Said."


def test_what_still_comes_of_a_turn_that_was_dropped_is_not_spoken() -> None:
    heard = Heard("tts")

    def add(turn: int, text: str, *, partial: bool = True) -> str:
        piece = audio(text)
        piece.metadata.extra = {"turn": turn, "partial": partial}
        return heard.add(piece)

    add(1, "Once upon")
    heard.drop()
    assert [add(1, " a time. "), add(1, "There"), add(1, " was.", partial=False)] == ["", "", ""]
    assert heard.rest() == ""
    assert add(2, "Yes.", partial=False) == "Yes."


def test_after_a_drop_audio_that_names_no_turn_is_spoken() -> None:
    heard = Heard("tts")
    heard.drop()
    assert heard.add(audio("Hello.")) == "Hello."


def test_audio_without_a_transcript_is_told_what_to_put_between() -> None:
    with pytest.raises(DataError, match=r"tts.*no transcript.*put a node between.*'whisper'"):
        Heard("tts").add(audio(None))
