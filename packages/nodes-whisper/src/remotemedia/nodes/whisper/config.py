"""The configuration of the node type `whisper`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = ["WhisperConfig"]


class WhisperConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `whisper` node can be told.

    Attributes:
        model: A directory that holds a CTranslate2 Whisper model; or a size name such as
            `tiny.en`, `base`, `small` or `large-v3`; or the id of a model on the Hugging Face hub.
            A size is taken from an installed weight package, else from the hub.
        language: Language spoken, as `en` or `de`; None detects it anew for each utterance.
        task: `transcribe` writes what was said; `translate` writes it in English.
        device: `auto` takes a CUDA device where there is one.
        compute_type: Arithmetic of the weights, as CTranslate2 names it; `auto` is int8 on a CPU
            and the fastest supported one on CUDA.
        beam_size: Candidates that the decoder follows; 1 is greedy and fastest.
        cpu_threads: Threads of one transcription; 0 takes every core the process may use.
        segmentation: `stream`: messages are pieces of one endless stream. `message`: every
            message is a recording of its own and is transcribed to its end before the next.
            `auto`: a message of one second or more is a recording of its own, shorter ones are
            pieces of a stream.
        speech_threshold: Probability of speech, by Silero VAD, from which on an utterance begins.
        min_speech_secs: An utterance with less voice than this is taken for noise.
        min_pause_secs: A pause of this length ends an utterance.
        max_segment_secs: An utterance without a pause is cut at its quietest place before it gets
            longer; Whisper hears at most 30 s at once.
        padding_secs: Audio kept before and after the detected voice, so that no soft first or
            last sound is lost.
    """

    model: Annotated[str, Meta(min_length=1)] = "tiny.en"
    language: Annotated[str, Meta(min_length=2)] | None = None
    task: Literal["transcribe", "translate"] = "transcribe"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: Literal[
        "auto",
        "int8",
        "int8_float32",
        "int8_float16",
        "int8_bfloat16",
        "int16",
        "float16",
        "bfloat16",
        "float32",
    ] = "auto"
    beam_size: Annotated[int, Meta(ge=1, le=20)] = 1
    cpu_threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    segmentation: Literal["auto", "stream", "message"] = "auto"
    speech_threshold: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    min_speech_secs: Annotated[float, Meta(ge=0, le=5)] = 0.1
    min_pause_secs: Annotated[float, Meta(ge=0.1, le=10)] = 0.6
    max_segment_secs: Annotated[float, Meta(ge=2, le=30)] = 15.0
    padding_secs: Annotated[float, Meta(ge=0, le=1)] = 0.5
