"""A model that sees as a Hugging Face folder; `models.hf` has models of words alone."""

import json
import os

from duomem_jax.base.io import as_path, atomic_write_bytes, atomic_write_text
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families import FAMILIES, SEEING
from duomem_jax.models.families.base import HfConfig
from duomem_jax.models.hf import tensors_of
from duomem_jax.models.trees import Params
from duomem_jax.models.vision.config import VisionConfig


def save_seeing(
    folder: str | os.PathLike,
    hf: HfConfig,
    decoder: tuple[ModelConfig, Params],
    sight: tuple[VisionConfig, Params],
    dtype: str = "float32",
) -> None:
    """Write config.json and model.safetensors, readable by transformers and `load_vision`.

    Args:
        folder: where to.
        hf: the config, of `sight`'s family.
        decoder: its shape and parameters.
        sight: shapes and parameters of tower and projector.
        dtype: of the tensors in the file.

    Raises:
        UserError: the disk is full or the folder is not writable.
    """
    from safetensors.numpy import save

    (config, params), (vision, eyes) = decoder, sight
    seeing = SEEING[vision.family]
    words = FAMILIES[config.family].weights(config)
    tensors = tensors_of(words, params, config.n_layers, dtype, seeing.decoder_naming)
    layers = vision.tower.n_layers
    tensors |= tensors_of(seeing.weights(vision), eyes, layers, dtype, seeing.naming)
    folder = as_path(folder)
    atomic_write_bytes(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))
    atomic_write_text(folder / "config.json", json.dumps({**hf, "dtype": dtype}, indent=2) + "\n")
