"""What a model family has to say about itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from duomem_jax.models.config import ModelConfig


@dataclass(frozen=True)
class Weight:
    """One tensor of a Hugging Face checkpoint and where it lives in our tree."""

    hf: str  # name; "{l}" stands for the layer, which becomes the leading axis
    path: tuple[str, ...]
    transpose: bool = False  # Hugging Face stores projections [out, in]


@dataclass(frozen=True)
class Family:
    """Readers and writers of one `model_type`."""

    model_type: str
    from_hf: Callable[[dict[str, Any]], ModelConfig]
    to_hf: Callable[[ModelConfig], dict[str, Any]]
    weights: Callable[[ModelConfig], list[Weight]]


def projection(hf: str, *path: str) -> Weight:
    """A bias-free linear layer of every decoder layer."""
    return Weight(f"model.layers.{{l}}.{hf}.weight", ("layers", *path, "kernel"), transpose=True)


def norm(hf: str, *path: str) -> Weight:
    """A norm of every decoder layer."""
    return Weight(f"model.layers.{{l}}.{hf}.weight", ("layers", *path, "scale"))
