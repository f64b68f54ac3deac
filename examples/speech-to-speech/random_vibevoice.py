"""Make a VibeVoice checkpoint of 19 MB with random weights: the engine runs, and speaks noise.

python random_vibevoice.py DIRECTORY, in an environment with remotemedia-nodes-tts[vibevoice]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from vibevoice.modular.configuration_vibevoice import VibeVoiceConfig
from vibevoice.modular.modeling_vibevoice_inference import (
    VibeVoiceForConditionalGenerationInference,
)

#: Samples of 3,200 become one latent, as in the published checkpoints.
RATIOS, DEPTHS = [8, 5, 5, 4, 2, 2], "1-1-1-1-1-1-1"
END, FRAME = "<|endoftext|>", "<|vision_pad|>"
SPECIAL = (END, "<|vision_start|>", "<|vision_end|>", FRAME, "<|image_pad|>")
#: What the first number of each hidden state leans to, so that a token can be made likely.
LEANING = 10.0
#: How strongly that asks for one more frame, and how far what asks for the end varies: one frame
#: in thirty is the last.
MORE, END_STD = 0.25, 1.0


def make(directory: Path, *, seed: int = 0, endless: bool = False) -> None:
    """Write a checkpoint.

    Args:
        directory: Where; it is made.
        seed: Other weights for another seed.
        endless: It never ends a turn. Else a turn has some tens of frames.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = _write_tokenizer(directory)
    torch.manual_seed(seed)
    model = VibeVoiceForConditionalGenerationInference(_config(tokenizer.get_vocab_size()))
    model.model.speech_scaling_factor.fill_(0.2)
    model.model.speech_bias_factor.fill_(0.0)
    end, frame = tokenizer.token_to_id(END), tokenizer.token_to_id(FRAME)
    with torch.no_grad():
        for weight in model.model.prediction_head.parameters():
            if not weight.any():  # as it is before training: what is said would not be heard
                weight.normal_(std=0.1)
        model.get_input_embeddings().weight[:, 0] = LEANING
        model.model.acoustic_connector.fc2.bias[0] = LEANING
        head = model.lm_head.weight
        head.zero_()
        head[frame, 0] = MORE
        if not endless:
            head[end].normal_(std=END_STD)
            head[end, 0] = 0.0
    model.save_pretrained(directory)
    (directory / "preprocessor_config.json").write_text(
        json.dumps({"processor_class": "VibeVoiceProcessor", "speech_tok_compress_ratio": 3200}),
        encoding="utf-8",
    )


def _write_tokenizer(directory: Path) -> Tokenizer:
    """Write a tokenizer that knows bytes and nothing else."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(directory / "tokenizer.json"))
    described = {"eos_token": END, "pad_token": END, "model_max_length": 32_768}
    (directory / "tokenizer_config.json").write_text(json.dumps(described), encoding="utf-8")
    return tokenizer


def _config(vocabulary: int) -> VibeVoiceConfig:
    encoder = {"encoder_n_filters": 4, "encoder_ratios": RATIOS, "encoder_depths": DEPTHS}
    decoder = {"decoder_n_filters": 4, "decoder_ratios": RATIOS, "decoder_depths": DEPTHS}
    return VibeVoiceConfig(
        acoustic_tokenizer_config={"vae_dim": 64, **encoder, **decoder},
        semantic_tokenizer_config={"vae_dim": 128, **encoder},
        decoder_config={
            "model_type": "qwen2",
            "vocab_size": vocabulary,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32_768,
        },
        diffusion_head_config={
            "hidden_size": 64,
            "head_layers": 1,
            "latent_size": 64,
            "speech_vae_dim": 64,
            "ddpm_num_inference_steps": 5,
        },
        tie_word_embeddings=False,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    make(parser.parse_args().directory)
