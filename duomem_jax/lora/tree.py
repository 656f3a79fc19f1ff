"""Operations on adapter trees: plain dicts whose leaves are `a` and `b` of one projection."""

from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.lora.config import LoraConfig


def init_lora(model: Any, key: jax.Array) -> dict:
    """A fresh float32 adapter for `model` (a `Model` with a LoraConfig); its product is zero."""
    return model.init_lora(key)


def merge(base: Any, lora: Any, config: LoraConfig) -> Any:
    """`base` with the adapter added into its kernels; for export and equality tests only.

    A training step never merges: that would compute the gradient of every full kernel.
    """
    if not isinstance(base, dict):
        return base
    out = {name: merge(child, lora.get(name, {}), config) for name, child in base.items()}
    if "a" in lora:
        product = jnp.einsum("...dr,...rf->...df", lora["a"], lora["b"])
        out["kernel"] = (base["kernel"] + config.scale * product).astype(base["kernel"].dtype)
    return out


def count(tree: Any) -> int:
    """Number of parameters in a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
