"""A model that sees before training: a decoder's words, and a tower that has seen nothing.

It has the form of SmolVLM, whatever the decoder's family: SigLIP's tower and one linear map.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_dir, atomic_write_text
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families import FAMILIES
from duomem_jax.models.families.base import HfConfig
from duomem_jax.models.families.idefics3 import AROUND, OVERVIEW, PICTURE
from duomem_jax.models.hf import copy_tokenizer
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.trees import Params
from duomem_jax.models.vision.config import ProjectorConfig, TowerConfig, VisionConfig
from duomem_jax.models.vision.load import load_vision
from duomem_jax.models.vision.model import VisionModel
from duomem_jax.models.vision.processor import OLDER
from duomem_jax.models.vision.save import save_seeing
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.worlds.pictures import SIZE

TOWER = TowerConfig(
    image_size=SIZE, patch_size=16, d_model=128, n_layers=6, n_heads=4, d_ff=512, norm_eps=1e-6
)
SHUFFLE = 2  # 64 patches become 16 tokens
# Contents in parts become texts, and the decoder's own template goes on with these.
PARTS = (
    "{%- set ns = namespace(told=[]) -%}{%- for message in messages -%}"
    "{%- set words = namespace(text='') -%}"
    "{%- if message['content'] is string -%}{%- set words.text = message['content'] -%}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- set words.text = words.text + ('<image>' if part['type'] == 'image' else part['text']) -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- set ns.told = ns.told + [{'role': message['role'], 'content': words.text}] -%}"
    "{%- endfor -%}{%- set messages = ns.told -%}"
)


def write_start(
    folder: str | os.PathLike,
    decoder: str | os.PathLike,
    seed: int = 0,
    tower: str | os.PathLike = "",
) -> None:
    """Write the model as a Hugging Face folder with its tokenizer.

    Args:
        folder: where to.
        decoder: folder of a model of words.
        seed: of tower and projector.
        tower: folder of a model whose tower, which has learnt to see, is taken; empty: a new one.

    Raises:
        UserError: a missing or damaged folder, or a tower of another shape.
    """
    config, params = load_pretrained(decoder, "float32")
    with atomic_dir(folder) as tmp:
        copy_tokenizer(decoder, tmp)
        config, params = _with_picture_tokens(tmp, config, jax.device_get(params))
        token = load_tokenizer(tmp).convert_tokens_to_ids(PICTURE)
        vision = VisionConfig("smolvlm", TOWER, ProjectorConfig(SHUFFLE, config.d_model), token)
        eyes = VisionModel(vision).init(jax.random.key(seed))
        if tower:
            eyes = eyes | {"tower": _tower(tower)}
        save_seeing(tmp, hf_config(config, vision), (config, params), (vision, eyes))
        atomic_write_text(tmp / OLDER, json.dumps(_processor(), indent=2) + "\n")


def _tower(folder: str | os.PathLike) -> Params:
    vision, eyes = load_vision(folder)
    if vision.tower != TOWER:
        raise UserError(f"{folder}: its tower has another shape; give one that was made here")
    return eyes["tower"]


def _with_picture_tokens(
    folder: Path, config: ModelConfig, params: Params
) -> tuple[ModelConfig, Params]:
    """Give the tokenizer the tokens around and of pictures, and the model rows for them."""
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [AROUND, PICTURE, OVERVIEW]})
    tokenizer.chat_template = PARTS + tokenizer.chat_template
    tokenizer.save_pretrained(folder)
    missing = len(tokenizer) - config.vocab_size
    if missing <= 0:
        return config, params
    grown = dict(params)
    # Tables are [V, D] and heads [D, V]. A new token is like the average one.
    for name, axis in (("embedding", 0), ("lm_head", 1)):
        if name in params:
            x = np.asarray(params[name])
            mean = np.repeat(x.mean(axis, keepdims=True), missing, axis)
            grown[name] = np.concatenate([x, mean], axis)
    return replace(config, vocab_size=len(tokenizer)), grown


def hf_config(config: ModelConfig, vision: VisionConfig) -> HfConfig:
    """The fields of config.json."""
    text, tower = FAMILIES[config.family].to_hf(config), vision.tower
    return {
        "architectures": ["SmolVLMForConditionalGeneration"],
        "model_type": vision.family,
        "text_config": text,
        "vision_config": {
            "hidden_size": tower.d_model,
            "intermediate_size": tower.d_ff,
            "num_hidden_layers": tower.n_layers,
            "num_attention_heads": tower.n_heads,
            "image_size": tower.image_size,
            "patch_size": tower.patch_size,
            "hidden_act": tower.activation,
            "layer_norm_eps": tower.norm_eps,
        },
        "scale_factor": vision.projector.shuffle,
        "image_token_id": vision.image_token,
        "tie_word_embeddings": text["tie_word_embeddings"],
    }


def _processor() -> dict[str, Any]:
    """Each picture is one tile."""
    size = {"longest_edge": SIZE}
    return {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": size,
        "resample": 1,
        "do_image_splitting": False,
        "max_image_size": size,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_pad": True,
    }
