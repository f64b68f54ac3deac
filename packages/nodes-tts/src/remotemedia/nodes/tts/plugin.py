"""The plugin module: what discovery reads; it imports no numpy and no engine."""

from __future__ import annotations

from remotemedia.core.plugin import NodeSpec, hookimpl
from remotemedia.core.ports import Port
from remotemedia.nodes.tts.config import KokoroTtsConfig, PiperTtsConfig, VibeVoiceConfig

__all__ = ["remotemedia_nodes"]

_TEXT = Port("text", "text", doc="What is to be spoken: any number of sentences.")
_AUDIO = Port("audio", "audio", doc="One message per sentence, mono float32.")
#: A frame of VibeVoice: 133 ms of float32 at 24 kHz.
_FRAME_BYTES = 12_800


@hookimpl
def remotemedia_nodes() -> list[NodeSpec]:
    """Return the node types `piper_tts`, `kokoro_tts` and `vibe_voice`."""
    return [
        NodeSpec(
            name="piper_tts",
            target="remotemedia.nodes.tts.piper:PiperTtsNode",
            inputs=(_TEXT,),
            outputs=(_AUDIO,),
            config=PiperTtsConfig,
            summary="Speak text with Piper: fast, one voice per model.",
        ),
        NodeSpec(
            name="kokoro_tts",
            target="remotemedia.nodes.tts.kokoro:KokoroTtsNode",
            inputs=(_TEXT,),
            outputs=(_AUDIO,),
            config=KokoroTtsConfig,
            summary="Speak text with Kokoro-82M: 54 voices in 9 languages.",
        ),
        NodeSpec(
            name="vibe_voice",
            target="remotemedia.nodes.tts.vibevoice.node:VibeVoiceNode",
            inputs=(
                Port("text", "text", required=False, main=True, doc="One turn: any length."),
                Port(
                    "audio",
                    "audio",
                    required=False,
                    main=True,
                    doc="Speech whose words are in its metadata, as `transcript`.",
                ),
                Port("reset", required=False, doc="Anything: ends the turn that is spoken."),
            ),
            outputs=(
                Port(
                    "audio",
                    "audio",
                    doc="Mono float32 at 24 kHz, while it is made; the first message of a turn has "
                    "its `transcript`.",
                    message_bytes=_FRAME_BYTES,
                ),
            ),
            config=VibeVoiceConfig,
            summary="Speak text with VibeVoice in a recorded voice, or speech again in that voice.",
        ),
    ]
