"""A checkpoint of LFM2-Audio with the real layout and tiny, random weights.

Every part is the engine's own; only the codec has its full size, which the engine fixes. What the
model says is noise, but how it takes turns can be given.

    python checkpoint.py DIRECTORY
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

TEXT_END, IM_END, AUDIO_START = 130, 7, 128
AUDIO_END = 2048
CODEC = "tokenizer-e351c8d8-checkpoint125.safetensors"
VOCABULARY, FIRST_WORD = 400, 270
DIM = 64

CONFIG: dict[str, Any] = {
    "architectures": ["Lfm2AudioForConditionalGeneration"],
    "codebooks": 8,
    "tie_audio_embeddings": False,
    "semantic_codebook_factor": 100,
    "codebook_weight": "log",
    "interleaved_n_text": 6,
    "interleaved_n_audio": 12,
    "preprocessor": {
        "sample_rate": 16000,
        "normalize": "per_feature",
        "window_size": 0.025,
        "window_stride": 0.01,
        "window": "hann",
        "features": 128,
        "n_fft": 512,
        "log": True,
        "frame_splicing": 1,
        "dither": 0.0,
        "pad_to": 0,
        "pad_value": 0.0,
    },
    "encoder": {
        "feat_in": 128,
        "feat_out": -1,
        "n_layers": 1,
        "d_model": 32,
        "subsampling": "dw_striding",
        "subsampling_factor": 8,
        "subsampling_conv_channels": 16,
        "causal_downsampling": False,
        "reduction": None,
        "reduction_position": None,
        "reduction_factor": 1,
        "ff_expansion_factor": 2,
        "self_attention_model": "rel_pos",
        "n_heads": 2,
        "att_context_size": [-1, -1],
        "xscaling": False,
        "untie_biases": True,
        "pos_emb_max_len": 512,
        "conv_kernel_size": 9,
        "conv_norm_type": "batch_norm",
        "conv_context_size": None,
        "dropout": 0.1,
        "dropout_pre_encoder": 0.1,
        "dropout_emb": 0.0,
        "dropout_att": 0.1,
    },
    "lfm": {
        "vocab_size": VOCABULARY,
        "hidden_size": DIM,
        "intermediate_size": 128,
        "block_ff_dim": 128,
        "block_auto_adjust_ff_dim": False,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "layer_types": ["conv", "full_attention"],
        "use_cache": True,
    },
    "depthformer": {"layers": 1, "dim": 128, "tie": True},
}


def make_checkpoint(
    folder: Path,
    *,
    words: float = 12,
    sound: float = 8,
    text_end: int = TEXT_END,
    codec: Path | None = None,
) -> None:
    """Write a checkpoint.

    Args:
        folder: Where; it is made.
        words: Mean number of text tokens before the end of the text.
        sound: Mean number of frames before the end of the audio.
        text_end: The token that ends the text: `IM_END` for a model that transcribes,
            `AUDIO_START` for one that reads aloud.
        codec: A file of the codec's weights that is there already.
    """
    import torch
    from liquid_audio.model.lfm2_audio import LFM2AudioModel
    from liquid_audio.moshi.models.loaders import get_mimi
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder.mkdir(parents=True)
    _write_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    model = LFM2AudioModel(_config())
    with torch.no_grad():
        _tune(model, words, sound, text_end)
    state = {name: value.contiguous().clone() for name, value in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    if codec is not None:
        (folder / CODEC).hardlink_to(codec)
    else:
        state = {name: value.clone() for name, value in get_mimi(None).state_dict().items()}
        for name, value in state.items():
            if name.endswith("embedding_sum"):  # which would be silence
                value.normal_()
        save_file(state, folder / CODEC)


def _config() -> Any:
    from liquid_audio.model.conformer.encoder import ConformerEncoderConfig
    from liquid_audio.model.lfm2_audio import DepthformerConfig, LFM2AudioConfig
    from transformers import Lfm2Config

    parts = {
        "lfm": Lfm2Config(**CONFIG["lfm"]),
        "encoder": ConformerEncoderConfig(**CONFIG["encoder"]),
        "depthformer": DepthformerConfig(**CONFIG["depthformer"]),
    }
    return LFM2AudioConfig(**{**CONFIG, **parts})


def _tune(model: Any, words: float, sound: float, text_end: int) -> None:
    """Have chance alone decide, with known odds.

    What goes through the layers of the language model has a large first number, and so every word
    is as likely as the first number of its embedding says, after whatever was said before. Only
    the end of the audio has a second number, by which the end of the turn is sure to follow. The
    same for the first code of a sound.
    """
    odds = 20.0
    for layer in model.lfm.layers:
        for name, weight in layer.named_parameters():
            if name.endswith(("out_proj.weight", "w2.weight")):
                weight[:2] = 0.0
    norm = model.lfm.embedding_norm.weight
    norm.zero_()
    norm[:2] = odds / math.sqrt(DIM)
    table = model.lfm.embed_tokens.weight
    table[:, 0], table[:, 1] = 0.1, 0.0
    table[FIRST_WORD:, 0] = 1.0
    table[text_end, 0] = 1.0 + math.log((VOCABULARY - FIRST_WORD) / words) / odds
    table[IM_END, 1] = 2.0
    sounds = model.audio_embedding.embedding.weight
    sounds *= 0.01
    sounds[:, 0], sounds[:, 1] = 1.0 / 8, 0.0
    sounds[AUDIO_END, 1] = 20.0
    model.depth_linear.bias[0] = 50.0
    codes = model.depth_embeddings[0].embedding.weight
    codes[:, 0] = 0.0
    codes[AUDIO_END, 0] = math.log(2048 / sound) / math.sqrt(CONFIG["depthformer"]["dim"])


def _write_tokenizer(folder: Path) -> None:
    """Write a tokenizer: bytes, a few words, and the special tokens where the engine has them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = {
        0: "<|pad|>",
        1: "<|startoftext|>",
        2: "<|endoftext|>",
        6: "<|im_start|>",
        IM_END: "<|im_end|>",
        AUDIO_START: "<|audio_start|>",
        TEXT_END: "<|text_end|>",
    }
    free = [number for number in range(FIRST_WORD) if number not in special]
    vocabulary = {symbol: free[at] for at, symbol in enumerate(alphabet)}
    vocabulary |= {f"Ġw{number}": number for number in range(FIRST_WORD, VOCABULARY)}
    vocabulary |= {token: number for number, token in special.items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special.values()))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)


if __name__ == "__main__":
    make_checkpoint(Path(sys.argv[1]))
