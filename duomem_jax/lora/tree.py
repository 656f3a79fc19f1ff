"""Operations on adapter trees: plain dicts whose leaves are `a` and `b` of one projection."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.models.lora import LoraConfig


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


def stack(adapters: Sequence[tuple[Any, LoraConfig]]) -> tuple[Any, LoraConfig]:
    """Several adapters of one base as one tree, so that rows of a batch can differ in theirs.

    Smaller ranks and projections without an adapter are filled up with zeros, and each adapter's
    scale is multiplied into its b, so that the stack has scale 1.

    Args:
        adapters: E pairs of an adapter tree, leaves [L,D,R] and [L,R,F], and its config.

    Returns:
        (tree with leaves [L,E,D,R] and [L,E,R,F], its config).
    """
    configs = [config for _, config in adapters]
    rank = max(config.rank for config in configs)
    targets = tuple(name for config in configs for name in config.targets)

    def join(trees: list[Any]) -> Any:
        names = sorted({name for tree in trees for name in tree})
        if "a" not in names:
            return {name: join([tree.get(name, {}) for tree in trees]) for name in names}
        a_LDR, b_LRF = next((tree["a"], tree["b"]) for tree in trees if tree)
        (L, D, _), F = a_LDR.shape, b_LRF.shape[2]
        a_LEDR = jnp.zeros((L, len(trees), D, rank), a_LDR.dtype)
        b_LERF = jnp.zeros((L, len(trees), rank, F), b_LRF.dtype)
        for e, (tree, config) in enumerate(zip(trees, configs, strict=True)):
            if tree:
                a_LEDR = a_LEDR.at[:, e, :, : config.rank].set(tree["a"])
                b_LERF = b_LERF.at[:, e, : config.rank].set(config.scale * tree["b"])
        return {"a": a_LEDR, "b": b_LERF}

    return join([tree for tree, _ in adapters]), LoraConfig(rank, float(rank), targets)


def count(tree: Any) -> int:
    """Number of parameters in a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
