"""What the ways with Tunix share: its Qwen2 and its sampler, which is given token ids."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tunix.generate.sampler import CacheConfig, Sampler
from tunix.models.qwen2.model import ModelConfig, Qwen2
from tunix.models.qwen2.params import create_model_from_safe_tensors


def load(folder: str) -> Qwen2:
    """Tunix's own reading of a folder of Qwen2.5-0.5B's shape, with any number of layers.

    It maps the files while it copies: the process's peak is at least twice the weights.
    """
    layers = json.loads((Path(folder) / "config.json").read_text())["num_hidden_layers"]
    config = dataclasses.replace(ModelConfig.qwen2p5_0p5b(), num_layers=layers)
    return create_model_from_safe_tensors(folder, config)


class Ids:
    """The tokenizer that the sampler asks for; texts are lists of ids, no id ends a reply."""

    def encode(self, ids: list[int]) -> list[int]:
        """The ids."""
        return ids

    def decode(self, ids: list[int]) -> list[int]:
        """The ids."""
        return ids

    def bos_id(self) -> None:
        """No id is put in front."""

    def eos_id(self) -> int:
        """An id that cannot occur."""
        return -1

    def pad_id(self) -> int:
        """An id that cannot occur."""
        return -1


def generator(model: Qwen2, cache_size: int) -> Callable[..., np.ndarray]:
    """Greedy (tokens [B,T], new, padded) -> new tokens [B,new].

    The prompt is read at its exact length; `padded` leaves it to the sampler, which pads to the
    next power of two.
    """
    config = model.config
    sampler = Sampler(
        model,
        Ids(),
        CacheConfig(cache_size, config.num_layers, config.num_kv_heads, config.head_dim),
    )

    def generate(tokens: np.ndarray, new: int, *, padded: bool = False) -> np.ndarray:
        length = None if padded else tokens.shape[1]
        return np.stack(sampler(tokens.tolist(), new, max_prompt_length=length).tokens)

    return generate
