"""The pipeline of the quick start in Python: Whisper hears, LFM2-Audio answers, VibeVoice speaks.

python speech_to_speech.py question.wav answer.wav
python speech_to_speech.py --random-weights weights question.wav answer.wav
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import numpy as np
import soundfile

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import Pipeline, Session
from remotemedia.runtime import MultiprocessConfig, Runtime


def pipeline(weights: Path | None) -> Pipeline:
    """Build it; with a folder of random weights, as random-weights.toml has them, or without."""
    asr = {"model": "tiny.en" if weights else "base", "language": "en"}
    s2s: dict[str, object] = {"model": "large"}
    tts: dict[str, object] = {"voice": "sarah", "rate": 1.0}
    if weights:
        s2s = {"model": str(weights / "lfm2"), "text_temperature": 1.0}
        s2s["audio_top_k"] = 0
        tts["model"] = str(weights / "vibevoice")
    return (
        Pipeline(outputs=["tts"])
        # Three models that contradict each other: each node has an environment of its own.
        .add_node(
            "whisper",
            "asr",
            asr,
            requirements=[f"remotemedia-nodes-whisper[{'tiny-en' if weights else 'base'}]"],
            python="3.10",
        )
        .add_node(
            "lfm2_audio",
            "s2s",
            s2s,
            requirements=["remotemedia-nodes-lfm2[engine]"],
            python="3.12",
        )
        .add_node(
            "vibe_voice",
            "tts",
            tts,
            requirements=["remotemedia-nodes-tts[vibevoice]"],
            python="3.11",
        )
        .connect("asr", "text", "s2s", "input")
        .connect("s2s", "output", "tts", "input")
    )


async def main(question: Path, answer: Path, weights: Path | None) -> None:
    """Send a recording, and write what is answered as it comes."""
    samples, rate = await asyncio.to_thread(soundfile.read, question, dtype="float32")
    # Importing and loading each model takes longer than the 30 s that a node has by default.
    async with Runtime(MultiprocessConfig(init_timeout_secs=600)) as runtime:
        session = Session("session_123", pipeline(weights), runtime=runtime)
        await session.initialize(
            progress_callback=lambda p: print(
                f"{p.node_id}: {p.status} ({p.progress:.0%}) {p.message}"
            )
        )
        await session.start()
        await session.send("asr", RuntimeData.audio(samples, rate))
        await session.close_input()
        spoken = [item async for item in session.stream("tts")]
        await session.cleanup()
    for item in spoken:
        if item.metadata.transcript:
            print(f"said: {item.metadata.transcript}")
    sound = np.concatenate([item.as_numpy() for item in spoken]) if spoken else np.zeros(0)
    await asyncio.to_thread(soundfile.write, answer, sound, 24_000)
    print(f"{len(sound) / 24_000:.1f} s in {len(spoken)} messages")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--random-weights", type=Path, metavar="DIRECTORY")
    parser.add_argument("question", type=Path)
    parser.add_argument("answer", type=Path)
    given = parser.parse_args()
    asyncio.run(main(given.question, given.answer, given.random_weights))
