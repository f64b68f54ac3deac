"""The configurations of the node types `piper_tts` and `kokoro_tts`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["KokoroTtsConfig", "PiperTtsConfig", "TtsConfig"]

Name = Annotated[str, Meta(min_length=1)]
Pause = Annotated[float, Meta(ge=0, le=10)]


class TtsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every speaking node can be told.

    Attributes:
        voice: Who speaks.
        rate: Speed of speech; 2 is twice as fast.
        pause_secs: Silence after each sentence.
    """

    voice: Name
    rate: float
    pause_secs: Pause = 0.2


class PiperTtsConfig(TtsConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `piper_tts` node can be told.

    Attributes:
        voice: The path of a voice (`.onnx`, with its `.onnx.json` beside it), or a name such as
            `en_US-joe-medium`: taken from an installed voice package, else downloaded.
        rate: Speed of speech; 2 is twice as fast.
        speaker: Number of the speaker in a voice that has several.
        volume: Factor on the amplitude.
        pause_secs: Silence after each sentence.
    """

    voice: Name = "en_US-joe-medium"
    rate: Annotated[float, Meta(ge=0.25, le=4)] = 1.0
    speaker: Annotated[int, Meta(ge=0)] | None = None
    volume: Annotated[float, Meta(gt=0, le=4)] = 1.0


class KokoroTtsConfig(TtsConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `kokoro_tts` node can be told.

    Attributes:
        voice: Name of a voice, as `af_heart`; its first letter is its language.
        rate: Speed of speech; 2 is twice as fast.
        language: Language of the text as espeak-ng names it, as `en-us`; None is the voice's own.
        model: Path of a Kokoro-82M model (`.onnx`); None takes the installed weight packages.
        voices: Where voices are: a folder of `NAME.bin` files, as in the npm package kokoro-js, or
            an archive of arrays, as kokoro-onnx publishes (`voices-v1.0.bin`); None takes the
            installed voice package, else downloads the voice.
        pause_secs: Silence after each sentence.
    """

    voice: Name = "af_heart"
    rate: Annotated[float, Meta(ge=0.5, le=2)] = 1.0
    language: Name | None = None
    model: Name | None = None
    voices: Name | None = None
