"""Runs speech.toml on a recording: what it hears is printed, what it says is counted."""

import asyncio
from pathlib import Path

import soundfile

from remotemedia.core.data import RuntimeData
from remotemedia.runtime import Pipeline, Session

HERE = Path(__file__).parent


async def main() -> None:
    """Send the recording, and receive from both outputs."""
    samples, rate = soundfile.read(HERE / "austen-0930.wav", dtype="float32")
    async with Session("speech", Pipeline.load(HERE / "speech.toml")) as session:
        await session.send("asr", RuntimeData.audio(samples, rate))
        await session.close_input()
        async for text in session.stream("asr"):
            print("heard:", text.payload)
        async for audio in session.stream("tts"):
            print(f"said: {len(audio.as_numpy()) / audio.metadata.sample_rate:.1f} s")


asyncio.run(main())
