"""The plugin module: what discovery reads; it imports no numpy and no engine."""

from __future__ import annotations

from remotemedia.core.plugin import NodeSpec, hookimpl
from remotemedia.core.ports import Port
from remotemedia.nodes.tts.config import KokoroTtsConfig, PiperTtsConfig

__all__ = ["remotemedia_nodes"]

_TEXT = Port("text", "text", doc="What is to be spoken: any number of sentences.")
_AUDIO = Port("audio", "audio", doc="One message per sentence, mono float32.")


@hookimpl
def remotemedia_nodes() -> list[NodeSpec]:
    """Return the node types `piper_tts` and `kokoro_tts`."""
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
    ]
