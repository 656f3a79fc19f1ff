"""Tower and projector of a Hugging Face folder; `models.load` has its decoder."""

import os
from dataclasses import replace

from duomem_jax.base.errors import UserError
from duomem_jax.models.families import SEEING
from duomem_jax.models.families.base import HfConfig
from duomem_jax.models.hf import read_config
from duomem_jax.models.load import read_tree, stacked_sources
from duomem_jax.models.trees import Params, Shardings
from duomem_jax.models.vision.config import VisionConfig
from duomem_jax.models.vision.model import VisionModel


def load_vision_config(folder: str | os.PathLike, dtype: str = "float32") -> VisionConfig:
    """The `VisionConfig` of a Hugging Face folder, for activations in `dtype`.

    Raises:
        UserError: no config.json, a model that does not see, a missing or unsupported field.
    """
    return replace(read_config(folder, _vision), dtype=dtype)


def _vision(hf: HfConfig) -> VisionConfig:
    if hf["model_type"] not in SEEING:
        raise UserError(
            f"config.json: field model_type is {hf['model_type']!r}, a model that does not see; "
            f"supported: {', '.join(SEEING)}"
        )
    return SEEING[hf["model_type"]].from_hf(hf)


def load_vision(
    folder: str | os.PathLike, dtype: str = "float32", shardings: Shardings | None = None
) -> tuple[VisionConfig, Params]:
    """Read tower and projector of a Hugging Face folder.

    Args:
        folder: config.json and any number of .safetensors files.
        dtype: of the parameters and the activations.
        shardings: a tree like the parameters, or None for the default device.

    Returns:
        (config, params): arrays in `dtype`, as `VisionModel.init` makes them.

    Raises:
        UserError: a missing or damaged file, a model that does not see or is not supported.
    """
    config = load_vision_config(folder, dtype)
    family, shapes = SEEING[config.family], VisionModel(config).shapes()["params"]
    sources = stacked_sources(family.weights(config), config.tower.n_layers)
    return config, read_tree(folder, family.naming, sources, shapes, dtype, shardings)
