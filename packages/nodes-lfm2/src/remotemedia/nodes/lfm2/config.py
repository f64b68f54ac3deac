"""The configuration of the node type `lfm2_audio`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = ["Lfm2AudioConfig"]

Temperature = Annotated[float, Meta(ge=0, le=10)]


class Lfm2AudioConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an `lfm2_audio` node can be told.

    Attributes:
        model: `large` (LiquidAI/LFM2-Audio-1.5B), `large-2.5` (LiquidAI/LFM2.5-Audio-1.5B), another
            id of the Hugging Face hub, or a directory that holds such a checkpoint.
        mode: `conversation` answers in speech and text, and remembers. `transcription` writes
            down each recording. `speech` reads each text aloud.
        system_prompt: What the model is told first; None takes what its makers trained it with for
            the mode.
        device: `auto` takes the first CUDA device where there is one; or `cpu`, `cuda`, `cuda:1`.
        dtype: Arithmetic; `auto` is bfloat16 on CUDA and float32 on a CPU.
        cpu_threads: Threads of arithmetic on a CPU, at most one for each core that the process may
            use; 0 takes every one. Beside other work fewer can be much faster.
        text_temperature: How freely words are chosen; 0 always takes the likeliest.
        text_top_k: Words to choose from; 0 is all.
        audio_temperature: How freely sounds are chosen; None takes 1.0 in a conversation and 0.8
            for speech.
        audio_top_k: Sounds to choose from, 0 is all; None takes 4 in a conversation and 64 for
            speech.
        seed: Has the same turns answered alike; None chooses anew each time.
        max_turn_secs: A recording that is longer is refused.
        max_reply_tokens: A reply is cut here. Each 80 ms of speech is a token, and so is each part
            of a word.
    """

    model: Annotated[str, Meta(min_length=1)] = "large"
    mode: Literal["conversation", "transcription", "speech"] = "conversation"
    system_prompt: str | None = None
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$")] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    cpu_threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    text_temperature: Temperature = 0.0
    text_top_k: Annotated[int, Meta(ge=0, le=65536)] = 0
    audio_temperature: Temperature | None = None
    audio_top_k: Annotated[int, Meta(ge=0, le=2049)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    max_turn_secs: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    max_reply_tokens: Annotated[int, Meta(ge=1, le=100_000)] = 1024
