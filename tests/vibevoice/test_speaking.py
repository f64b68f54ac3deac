"""vibe_voice speaks: turns, voices, rate, and what arrives as audio."""

from __future__ import annotations

import json
import shutil
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from remotemedia.core.data import DataType, RuntimeData
from remotemedia.core.errors import NodeError
from remotemedia.core.testing import check_node_contract

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Speaker

FRAME, RATE = 3200, 24_000


def heard(items: list[RuntimeData]) -> str:
    return "|".join(item.metadata.transcript for item in items if item.metadata.transcript)


def engine_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "vibevoice"]


def test_a_turn_leaves_in_frames_while_it_is_made(speaker: Speaker) -> None:
    with speaker(pause_secs=0.5) as node:
        *frames, pause = node.feed("Hello there.", "text")
        assert len(frames) > 2
        for item in (*frames, pause):
            assert item.type is DataType.AUDIO
            assert (item.metadata.sample_rate, item.metadata.channels) == (RATE, 1)
            assert item.payload.dtype == np.float32
            assert item.metadata.extra["turn"] == 1
        assert {len(frame.payload) for frame in frames} == {FRAME}
        assert all(np.isfinite(frame.payload).all() for frame in frames)
        assert np.abs(np.concatenate([frame.payload for frame in frames])).max() > 0
        assert (len(pause.payload), np.abs(pause.payload).max()) == (RATE // 2, 0)
        assert frames[0].metadata.transcript == "Hello there."
        assert {item.metadata.transcript for item in (*frames[1:], pause)} == {""}
        assert not engine_threads()


def test_the_first_frame_leaves_while_the_model_still_speaks(
    speaker: Speaker, endless: Path
) -> None:
    with speaker(model=str(endless), max_turn_secs=600) as node:
        for item in node.stream("This has no end.", "text"):
            assert len(item.payload) == FRAME
            assert len(engine_threads()) == 1
            break
    assert not engine_threads()  # leaving early has stopped it


def test_whatever_comes_as_reset_ends_the_turn(speaker: Speaker, endless: Path) -> None:
    with speaker(model=str(endless), max_turn_secs=600) as node:
        spoken = node.stream("This has no end.", "text")
        next(spoken)
        reset = threading.Thread(target=node.feed, args=(True, "reset"), daemon=True)
        reset.start()
        assert len(list(spoken)) < 600 * RATE / FRAME
        reset.join(60)
        assert not reset.is_alive()
        assert not engine_threads()


def test_a_seed_makes_a_turn_the_same_again(speaker: Speaker) -> None:
    with speaker(seed=3) as node:
        first, second = (node.feed("Again.", "text") for _ in range(2))
        assert len(first) == len(second)
        assert all(np.array_equal(a.payload, b.payload) for a, b in zip(first, second, strict=True))


def test_rate_changes_the_length(speaker: Speaker) -> None:
    lengths = {}
    for rate in (1.0, 2.0):
        with speaker(rate=rate, pause_secs=0, seed=5) as node:
            lengths[rate] = sum(len(item.payload) for item in node.feed("Faster.", "text"))
    assert lengths[2.0] == pytest.approx(lengths[1.0] / 2, abs=2)


def test_each_speaker_has_a_voice_of_its_own(speaker: Speaker) -> None:
    with speaker(speakers={"Anna": "sarah", "Bob": "michael"}, seed=5) as node:
        (alone, *_), (both, *_) = (
            node.feed(text, "text") for text in ("Bob: Hello.", "Anna: Hello.\nBob: Hello.")
        )
        assert both.metadata.transcript == "Hello.\nHello."
        (anna, *_) = node.feed("Anna: Hello.", "text")
        assert alone.metadata.transcript == anna.metadata.transcript == "Hello."
        assert not np.array_equal(alone.payload, anna.payload)


def test_the_sound_depends_on_the_voice_and_the_text(speaker: Speaker) -> None:
    def first(voice: str, text: str) -> np.ndarray:
        with speaker(voice=voice, seed=5) as node:
            return node.feed(text, "text")[0].payload

    sarah = first("sarah", "Hello.")
    assert not np.array_equal(sarah, first("michael", "Hello."))
    assert not np.array_equal(sarah, first("sarah", "Good night."))


@pytest.mark.parametrize("text", ["", "...", "\x00", "<|vision_pad|>", "Anna:"])
def test_nothing_to_say_makes_no_sound_and_no_error(speaker: Speaker, text: str) -> None:
    with speaker(speakers={"Anna": "sarah"}) as node:
        assert node.feed(text, "text") == []


def test_speech_is_spoken_again_by_its_transcript(speaker: Speaker) -> None:
    with speaker() as node:

        def said(transcript: str, **extra: object) -> str:
            audio = RuntimeData.audio(np.zeros(1920, np.float32), RATE, transcript=transcript)
            audio.metadata.extra = extra
            return heard(node.feed(audio, "audio"))

        assert said("A whole sentence") == "A whole sentence"
        assert said("One. Tw", partial=True) == "One."
        assert said("o, thr", partial=True) == ""
        assert said("ee.") == "Two, three."
        assert said("") == ""
        assert said("The rest", partial=True) == ""
        assert heard(node.finish()) == "The rest"


def test_after_a_reset_the_rest_of_that_turn_is_not_spoken(speaker: Speaker) -> None:
    with speaker() as node:

        def said(turn: int, transcript: str) -> str:
            audio = RuntimeData.audio(np.zeros(1920, np.float32), RATE, transcript=transcript)
            audio.metadata.extra = {"turn": turn, "partial": True}
            return heard(node.feed(audio, "audio"))

        assert said(1, "One. Two") == "One."
        assert node.feed("enough", "reset") == []
        assert [said(1, piece) for piece in (". Three", ". Four")] == ["", ""]
        assert said(2, "Five. Six") == "Five."


def test_audio_without_words_says_what_to_put_between(speaker: Speaker) -> None:
    with (
        speaker() as node,
        pytest.raises(NodeError, match=r"DataError: tts .* no transcript .* 'whisper'"),
    ):
        node.feed(RuntimeData.audio(np.zeros(1920, np.float32), RATE), "audio")


def test_a_turn_that_is_too_long_is_told_with_its_setting(speaker: Speaker, endless: Path) -> None:
    with speaker(model=str(endless), max_turn_secs=2) as node:
        with pytest.raises(NodeError, match=r"ResourceLimitError.*'tts'.*2 s.*'max_turn_secs'"):
            node.feed("This has no end.", "text")
        assert sum(len(item.payload) for item in node.outputs["audio"]) >= 2 * RATE
        assert not engine_threads()


def test_speech_that_the_model_can_not_hold_is_told_and_not_as_too_long(
    speaker: Speaker, endless: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(endless, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["decoder_config"]["max_position_embeddings"] = 560
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with speaker(model=str(copy), max_turn_secs=50) as node:
        with pytest.raises(NodeError, match=r"DataError.*do not fit into the 560 tokens.*'tts'"):
            node.feed("This has no end.", "text")
        assert not engine_threads()


def test_a_text_that_the_model_can_not_hold_is_told(speaker: Speaker) -> None:
    with (
        speaker() as node,
        pytest.raises(NodeError, match=r"DataError.*of the 32768 tokens.*several pieces"),
    ):
        node.feed("word " * 10_000, "text")


def test_it_keeps_the_contract_of_nodes(checkpoint: Path) -> None:
    config = {"model": str(checkpoint), "device": "cpu", "seed": 1}
    spoken = RuntimeData.audio(np.zeros(1920, np.float32), RATE, transcript="Hello there.")
    check_node_contract(
        "vibe_voice", config, inputs={"text": ["Hello there."], "audio": [spoken]}, deadline=120
    )
