"""Engine: VibeVoice, loaded, and one turn at a time through it.

This package alone imports vibevoice and torch, in the process of the node.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.utils import logging
from vibevoice.modular.modeling_vibevoice_inference import (
    VibeVoiceForConditionalGenerationInference,
)
from vibevoice.modular.modular_vibevoice_text_tokenizer import VibeVoiceTextTokenizerFast
from vibevoice.modular.streamer import AudioStreamer
from vibevoice.processor.vibevoice_processor import VibeVoiceProcessor
from vibevoice.processor.vibevoice_tokenizer_processor import VibeVoiceTokenizerProcessor

from remotemedia.core.errors import ConfigError, DataError, ResourceLimitError
from remotemedia.nodes.tts.vibevoice.checkpoint import (
    find_checkpoint,
    read_json,
    tokenizer_source,
)
from remotemedia.nodes.tts.vibevoice.device import find_device, is_out_of_memory
from remotemedia.nodes.tts.vibevoice.voices import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from remotemedia.nodes.tts.config import VibeVoiceConfig
    from remotemedia.nodes.tts.vibevoice.device import Device

__all__ = ["Engine"]

# Its bars would go to the node's log, and each keeps a thread that polls.
logging.disable_progress_bar()

#: Samples of a frame, of which the model makes one at a time: 133 ms.
FRAME = 3200
#: The engine would end a turn after twice as many steps as its prompt has tokens, which a short
#: voice sample makes too few. `max_turn_secs` is the limit here.
NO_LIMIT = 1_000_000


class Engine:
    """A loaded VibeVoice model.

    Args:
        config: The node's configuration.
        where: The node's id, for errors.
        report: Takes a fraction and a message while it loads.

    Raises:
        ConfigError: The model, its tokenizer or the device can't be had, or has too little memory.
    """

    def __init__(
        self, config: VibeVoiceConfig, where: str, report: Callable[[float, str], None]
    ) -> None:
        self._config, self._where = config, where
        device = find_device(config.device, config.dtype, where)
        report(0.2, f"finding the weights of {config.model}")
        directory = find_checkpoint(config.model, _download, where)
        report(0.3, f"loading the tokenizer of {config.model}")
        self._processor = self._load_processor(directory)
        report(0.4, f"loading {config.model} on {device.name}")
        try:
            self._model = self._load_model(directory, device)
        except Exception as error:
            if is_out_of_memory(error):
                raise self._too_little_memory(device.name, "to load", error) from error
            if isinstance(error, ConfigError):
                raise
            # The errors of transformers, safetensors and torch share no base but Exception.
            raise ConfigError(
                where, "model", f"{str(directory)!r} could not be loaded as VibeVoice ({error})"
            ) from error
        if config.diffusion_steps is not None:
            self._model.set_ddpm_inference_steps(config.diffusion_steps)
        self._context = int(self._model.config.decoder_config.max_position_embeddings)
        self._device = device.name
        self._longest = int(config.max_turn_secs * SAMPLE_RATE / FRAME) + 1  # frames of a turn
        longest = self._context * FRAME / SAMPLE_RATE
        if config.max_turn_secs > longest:
            raise ConfigError(
                where,
                "max_turn_secs",
                f"{config.max_turn_secs:g} s of speech do not fit into the {self._context} tokens "
                f"that {str(directory)!r} holds, which are {longest:.0f} s; lower it",
            )

    def _load_processor(self, directory: Path) -> Any:  # noqa: ANN401 - the engine has no types
        config, where = self._config, self._where
        source = tokenizer_source(directory, config.tokenizer, where)
        try:
            tokenizer = VibeVoiceTextTokenizerFast.from_pretrained(source)
        except Exception as error:
            # As of the model above.
            raise ConfigError(
                where,
                "tokenizer",
                f"the tokenizer {source!r} can't be had ({str(error).splitlines()[0]}); give the "
                "directory of a copy of 'Qwen/Qwen2.5-1.5B' (its tokenizer.json is enough), or "
                "put tokenizer.json into the checkpoint's directory",
            ) from error
        described = read_json(directory / "preprocessor_config.json", where)
        return VibeVoiceProcessor(
            tokenizer=tokenizer,
            audio_processor=VibeVoiceTokenizerProcessor(),
            speech_tok_compress_ratio=described.get("speech_tok_compress_ratio", FRAME),
            db_normalize=described.get("db_normalize", True),
        )

    def _load_model(self, directory: Path, device: Device) -> Any:  # noqa: ANN401
        model, info = VibeVoiceForConditionalGenerationInference.from_pretrained(
            str(directory),
            torch_dtype=device.dtype,
            device_map=device.name,
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        if info["missing_keys"]:  # which would be random numbers
            raise ConfigError(
                self._where,
                "model",
                f"{str(directory)!r} lacks {len(info['missing_keys'])} tensors of VibeVoice, as "
                f"{min(info['missing_keys'])!r}; download it again",
            )
        return model.eval()

    # ---- one turn

    def speak(
        self,
        lines: Sequence[tuple[int, str]],
        voices: Sequence[NDArray[np.float32]],
        is_dropped: Callable[[], bool],
    ) -> Generator[NDArray[np.float32]]:
        """Yield speech while it is generated, in frames of 3,200 samples, mono at 24 kHz.

        The model computes in a thread. Closing the iterator stops it before its next frame.

        Args:
            lines: Which voice says what.
            voices: Recordings at 24 kHz; each of them says something.
            is_dropped: Asked before each frame, in the thread, whether to stop.

        Raises:
            DataError: The lines are too long for the model's context.
            ResourceLimitError: The turn is longer than `max_turn_secs`.
            ConfigError: The device has too little memory.
        """
        inputs = self._processor(
            text=["\n".join(f"Speaker {voice + 1}: {words}" for voice, words in lines)],
            voice_samples=[list(voices)],
            padding=True,
            return_tensors="pt",
            return_attention_mask=True,
        )
        steps = self._steps(int(inputs["input_ids"].shape[-1]))
        streamer = AudioStreamer(batch_size=1)
        closed, dropped = threading.Event(), threading.Event()
        failures: list[BaseException] = []
        ended: list[bool] = []

        def is_stopped() -> bool:
            if closed.is_set() or is_dropped():
                dropped.set()
            return dropped.is_set()

        def generate() -> None:
            try:
                ended.append(self._generate(inputs, steps, streamer, is_stopped))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                failures.append(error)
            finally:
                streamer.end()

        thread = threading.Thread(target=generate, name="vibevoice")
        thread.start()
        try:
            for chunk in streamer.get_stream(0):
                yield chunk.float().numpy().reshape(-1)
        finally:
            closed.set()
            thread.join()
        for failure in failures:
            if is_out_of_memory(failure):
                raise self._too_little_memory(self._device, "for this turn", failure) from failure
            raise failure
        if not all(ended) and not dropped.is_set():
            if steps < self._longest:
                raise self._too_long("the text, its voices and its speech do not fit into")
            limit = f"{self._config.max_turn_secs:g} s"
            raise ResourceLimitError(
                f"the speech of node {self._where!r} for one turn",
                f"more than {steps * FRAME / SAMPLE_RATE:.0f} s",
                limit,
                "max_turn_secs",
                self._where,
            )

    def _steps(self, prompt: int) -> int:
        """Return how many tokens may be made after the prompt."""
        room = self._context - prompt
        if room < min(self._longest, prompt):
            raise self._too_long(f"the text and its voices leave too little: {prompt} of")
        return min(self._longest, room)

    def _too_long(self, what: str) -> DataError:
        return DataError(
            f"{what} the {self._context} tokens that the model of node {self._where!r} holds; send "
            "the text in several pieces, or give shorter recordings of the voices"
        )

    def _generate(
        self,
        inputs: Mapping[str, Any],
        steps: int,
        streamer: AudioStreamer,
        is_stopped: Callable[[], bool],
    ) -> bool:
        """Generate a turn; returns whether the model ended it."""
        if self._config.seed is not None:
            torch.manual_seed(self._config.seed)
        tensors = {
            name: value.to(self._device) if isinstance(value, torch.Tensor) else value
            for name, value in inputs.items()
        }
        made = self._model.generate(
            **tensors,
            max_new_tokens=steps,
            max_length_times=NO_LIMIT,
            cfg_scale=self._config.guidance,
            tokenizer=self._processor.tokenizer,
            generation_config={"do_sample": False},
            audio_streamer=streamer,
            stop_check_fn=is_stopped,
            return_speech=False,
            show_progress_bar=False,
        )
        is_end: bool = made.sequences[0, -1].item() == self._processor.tokenizer.eos_token_id
        return is_end

    def _too_little_memory(self, device: str, what: str, error: BaseException) -> ConfigError:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return ConfigError(
            self._where,
            "device",
            f"{device!r} has too little memory {what} ({reason}); use a device with more, 'dtype' "
            "bfloat16, a smaller 'model', shorter recordings of voices, or shorter texts",
        )


def _download(repository: str) -> str:
    """Return the directory of a checkpoint that huggingface_hub keeps, downloaded if need be."""
    from huggingface_hub import snapshot_download

    return str(snapshot_download(repository, allow_patterns=["*.json", "*.safetensors"]))
