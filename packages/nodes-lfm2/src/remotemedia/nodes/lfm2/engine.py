"""Engine: LFM2-Audio, loaded.

liquid-audio and torch are optional, and take seconds to import: this module alone does so, in the
process of the node, when it initializes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import ConfigError
from remotemedia.nodes.lfm2.checkpoint import find_checkpoint, weight_names
from remotemedia.nodes.lfm2.device import find_device, find_dtype
from remotemedia.nodes.lfm2.recording import SAMPLE_RATE as HEARD_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from remotemedia.nodes.lfm2.config import Lfm2AudioConfig

__all__ = ["FRAME", "SAMPLE_RATE", "Engine"]

#: What the codec makes, in Hz, and how many samples of it are one token.
SAMPLE_RATE = 24_000
FRAME = 1_920
#: How much of what is heard is one token: the encoder makes one of eight steps of 10 ms.
HEARD_SECS = 0.08
#: What the model was trained with, https://huggingface.co/LiquidAI/LFM2-Audio-1.5B
SYSTEM_PROMPTS = {
    "conversation": "Respond with interleaved text and audio.",
    "transcription": "Perform ASR.",
    "speech": "Perform TTS. Use the US female voice.",
}
#: How freely sounds are chosen: temperature and number of candidates, from the same page.
AUDIO_SAMPLING = {"conversation": (1.0, 4), "transcription": (1.0, 4), "speech": (0.8, 64)}
_WARM_UP_FRAMES = 2


class Engine:
    """The model, its tokenizer and its codec.

    Args:
        config: The node's configuration.
        where: The node's id, for errors.
        report: Takes a fraction and a message while it loads.

    Attributes:
        most_tokens: How long a conversation may get, in tokens.

    Raises:
        ConfigError: The engine is not installed; the model, device or arithmetic can't be had, or
            there is not enough memory.
    """

    def __init__(
        self, config: Lfm2AudioConfig, where: str, report: Callable[[float, str], None]
    ) -> None:
        self._config = config
        if importlib.util.find_spec("liquid_audio") is None:
            raise _missing_engine(where, ModuleNotFoundError("it is not installed"))
        # Before the import, which takes long: what is wrong with the weights is told at once.
        report(0.02, f"finding the weights of {config.model}")
        folder = find_checkpoint(config.model, _downloader(config, where, report), where)
        report(0.1, "importing liquid-audio")
        # The codec would have one small function compiled: tens of seconds for microseconds.
        os.environ.setdefault("NO_TORCH_COMPILE", "1")
        try:
            import liquid_audio
            import torch
        except (ImportError, OSError, RuntimeError) as error:
            raise _missing_engine(where, error) from error
        # Any: the engine is optional, nothing here may need it to be checked.
        self._torch: Any = torch
        self._audio: Any = liquid_audio
        cores = len(os.sched_getaffinity(0))
        torch.set_num_threads(min(config.cpu_threads or cores, cores))
        self.device = find_device(torch, config.device, where)
        self.dtype = find_dtype(torch, config.dtype, self.device)
        report(0.4, f"loading {config.model} on {self.device}")
        with self._loading(folder, where):
            self._load(folder, where, report)
        self._check_lengths(where)
        report(0.9, "warming up")
        with self._loading(folder, where):
            self._warm_up()

    # ---- loading

    def _load(self, folder: Path, where: str, report: Callable[[float, str], None]) -> None:
        # A Path is never looked for on the hub, a str always is.
        self._processor = self._audio.LFM2AudioProcessor.from_pretrained(folder, device=self.device)
        self._processor.eval()
        report(0.5, f"loading the model on {self.device}")
        self._model = self._audio.LFM2AudioModel.from_pretrained(
            folder, device=self.device, dtype=self.dtype
        ).eval()
        # The engine leaves weights random that it does not find.
        lacking = sorted(set(self._model.state_dict()) - weight_names(folder, where))
        if lacking:
            raise ConfigError(
                where,
                "model",
                f"the weights in {str(folder)!r} are not those of this model: {len(lacking)} are "
                f"not there, {lacking[0]!r} among them; download the checkpoint again",
            )
        report(0.8, "loading the codec")
        self._codec = self._processor.mimi.eval()
        self.most_tokens = int(self._model.lfm.config.max_position_embeddings)
        self._words = int(self._model.lfm.config.vocab_size)

    @contextlib.contextmanager
    def _loading(self, folder: Path, where: str) -> Iterator[None]:
        try:
            yield
        except ConfigError:
            raise
        except Exception as error:
            if not self.is_out_of_memory(error):
                # Whatever is wrong with files, it may come out anywhere in the engine.
                raise ConfigError(
                    where,
                    "model",
                    f"{str(folder)!r} could not be loaded on {self.device} "
                    f"({_first_line(error)}); check that it holds a checkpoint of LFM2-Audio",
                ) from error
            raise ConfigError(
                where,
                "device",
                f"{str(folder)!r} does not fit into the memory of {self.device} "
                f"({_first_line(error)}); free some, name another device, or use "
                "dtype='bfloat16'",
            ) from error

    def _check_lengths(self, where: str) -> None:
        """Check that the model can take a turn at all, and the longest that may come."""
        prompt = int(self.chat().modality_flag.shape[1])
        longest = self._config.max_reply_tokens
        room = self.most_tokens - prompt - longest
        if room <= 0:
            key = "system_prompt" if prompt > longest else "max_reply_tokens"
            raise ConfigError(
                where,
                key,
                f"the system prompt ({prompt:,} tokens) and a reply (up to {longest:,}) leave "
                f"nothing of the {self.most_tokens:,} tokens that the model takes",
            )
        seconds = self._config.max_turn_secs
        if self._config.mode != "speech" and seconds > room * HEARD_SECS:
            raise ConfigError(
                where,
                "max_turn_secs",
                f"a recording of {seconds:g} s does not fit into the {self.most_tokens:,} tokens "
                f"that the model takes: beside the system prompt ({prompt:,}) and a reply (up to "
                f"{longest:,}) there is room for {room * HEARD_SECS:.0f} s; lower it, or "
                "'max_reply_tokens'",
            )

    def _warm_up(self) -> None:
        """Have the first turn take no longer than the others."""
        torch = self._torch
        chat = self.chat()
        chat.add_text("Hello.")
        with contextlib.closing(self.generate(chat, _WARM_UP_FRAMES)) as tokens:
            for _ in tokens:
                pass
        silent = torch.zeros(chat.codebooks, dtype=torch.long, device=self.device)
        with self.speaking():
            for _ in range(_WARM_UP_FRAMES):
                self.sound(silent)

    # ---- working

    def chat(self) -> Any:  # noqa: ANN401 - the engine's, see above
        """Return a new conversation that knows its system prompt."""
        prompt = self._config.system_prompt
        if prompt is None:
            prompt = SYSTEM_PROMPTS[self._config.mode]
        chat = self._audio.ChatState(
            self._processor, codebooks=self._model.codebooks, dtype=self.dtype
        )
        chat.new_turn("system")
        chat.add_text(prompt)
        chat.end_turn()
        return chat

    def hear(self, chat: Any, samples: NDArray[np.float32]) -> None:  # noqa: ANN401
        """Add a recording to a conversation: mono float32 at 16 kHz, shape `(frames,)`."""
        with self._torch.no_grad():
            chat.add_audio(self._torch.from_numpy(samples)[None, :], HEARD_RATE)

    def generate(self, chat: Any, most: int) -> Generator[Any, None, None]:  # noqa: ANN401
        """Yield the tokens that the model answers with: one number each, or eight of a sound."""
        config = self._config
        if config.seed is not None:
            self._torch.manual_seed(config.seed)
        temperature, candidates = AUDIO_SAMPLING[config.mode]
        if config.audio_temperature is not None:
            temperature = config.audio_temperature
        if config.audio_top_k is not None:
            candidates = config.audio_top_k
        generate = (
            self._model.generate_interleaved
            if config.mode == "conversation"
            else self._model.generate_sequential
        )
        tokens: Generator[Any, None, None] = generate(
            **chat,
            max_new_tokens=most,
            text_temperature=config.text_temperature or None,
            text_top_k=min(config.text_top_k, self._words) or None,
            audio_temperature=temperature or None,
            audio_top_k=candidates or None,
        )
        return tokens

    def speaking(self) -> contextlib.AbstractContextManager[Any]:
        """Within this, each sound goes on from the one before."""
        streaming: contextlib.AbstractContextManager[Any] = self._codec.streaming(1)
        return streaming

    def sound(self, codes: Any) -> NDArray[np.float32]:  # noqa: ANN401
        """Return a token of eight numbers as samples, shape `(1920,)`."""
        with self._torch.no_grad():
            wave = self._codec.decode(codes[None, :, None])
        samples: NDArray[np.float32] = wave[0, 0].float().clamp(-1, 1).cpu().numpy()
        return samples

    def text(self, tokens: Sequence[int]) -> str:
        """Return tokens as text, without special ones."""
        text: str = self._processor.text.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def remember(self, chat: Any, said: Sequence[Any]) -> None:  # noqa: ANN401
        """Add to a conversation what the model has answered: tokens, as `generate` gave them."""
        torch, modality = self._torch, self._audio.LFMModality
        words = [token for token in said if token.numel() == 1]
        sounds = [token for token in said if token.numel() > 1]
        kinds = [modality.TEXT if token.numel() == 1 else modality.AUDIO_OUT for token in said]
        chat.append(
            text=torch.stack(words, 1) if words else chat.text[:, :0],
            audio_out=torch.stack(sounds, 1) if sounds else chat.audio_out[:, :0],
            modality_flag=torch.tensor(kinds, dtype=torch.long, device=chat.device),
        )
        chat.end_turn()

    def is_out_of_memory(self, error: Exception) -> bool:
        """Say whether there is no more memory, and give back what need not be kept."""
        if isinstance(error, self._torch.OutOfMemoryError):
            self._torch.cuda.empty_cache()
            return True
        return isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
        )


def _downloader(
    config: Lfm2AudioConfig, where: str, report: Callable[[float, str], None]
) -> Callable[[str], str]:
    def download(hub_id: str) -> str:
        import torch
        from huggingface_hub import snapshot_download

        find_device(torch, config.device, where)  # before gigabytes come for nothing
        report(0.05, f"downloading {hub_id}, unless it is there")
        return str(snapshot_download(hub_id))

    return download


def _missing_engine(where: str, error: Exception) -> ConfigError:
    if sys.version_info < (3, 12):
        advice = (
            f"it needs Python 3.12 or newer, and this is {platform.python_version()}: give the "
            'node an environment of its own, with python = "3.12" and requirements = '
            '["remotemedia-nodes-lfm2[engine]"]'
        )
    else:
        advice = (
            "pip install 'remotemedia-nodes-lfm2[engine]' in the environment of this node, or give "
            'it one of its own: requirements = ["remotemedia-nodes-lfm2[engine]"]'
        )
    return ConfigError(
        where, "", f"the engine liquid-audio can't be imported ({_first_line(error)}); {advice}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or error.__class__.__name__).splitlines()[0]
