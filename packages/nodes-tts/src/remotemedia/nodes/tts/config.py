"""The configurations of the node types `piper_tts`, `kokoro_tts` and `vibe_voice`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = ["KokoroTtsConfig", "PiperTtsConfig", "TtsConfig", "VibeVoiceConfig"]

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


class VibeVoiceConfig(TtsConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `vibe_voice` node can be told.

    Attributes:
        voice: Who speaks: the path of a recording of the voice, or the name of one in `voices`
            or of one that comes with the node, `sarah` or `michael`.
        rate: Speed of speech; 2 is twice as fast, at the same pitch.
        speakers: Further voices by the name that a line of text begins with: with
            `{Anna = "anna.wav"}` the line `Anna: Hello.` is spoken in that voice, without the name.
        voices: A folder of recordings, each named as its voice: `anna.wav`, or as in VibeVoice's
            own collection `en-Anna_woman.wav`.
        model: A size, `1.5B`; the id of a checkpoint on the Hugging Face hub; or a directory.
        tokenizer: The directory or hub id of the tokenizer; None takes the one in the checkpoint's
            directory, else the one that the checkpoint names.
        device: `auto` takes a CUDA device where there is one; `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: Arithmetic of the model; `auto` is float32 on a CPU, else bfloat16.
        guidance: How closely speech follows text and voice (classifier-free guidance).
        diffusion_steps: Steps for each frame of 133 ms: more cost more and sound better; None
            takes what the checkpoint says.
        seed: Where the random numbers of each turn begin; None has each turn differ.
        max_turn_secs: A turn that speaks for longer is an error.
        pause_secs: Silence after each turn.
    """

    voice: Name = "sarah"
    rate: Annotated[float, Meta(ge=0.5, le=2)] = 1.0
    speakers: Annotated[dict[Name, Name], Meta(max_length=3)] = {}
    voices: Name | None = None
    model: Name = "1.5B"
    tokenizer: Name | None = None
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,3})?)$")] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    guidance: Annotated[float, Meta(ge=1, le=10)] = 1.3
    diffusion_steps: Annotated[int, Meta(ge=1, le=100)] | None = None
    seed: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    max_turn_secs: Annotated[float, Meta(ge=1, le=5400)] = 300.0
