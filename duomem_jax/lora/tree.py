"""Operations on adapter trees: plain dicts whose leaves are `a` and `b` of one projection."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.trees import AdapterTree, Params


class Adapter(NamedTuple):
    """An adapter's numbers and what is needed to use them.

    Attributes:
        tree: leaves a [L,D,R] and b [L,R,F] of each projection that has one.
        config: rank, scale and targets.
    """

    tree: AdapterTree
    config: LoraConfig


def merge(base: Params, lora: AdapterTree, config: LoraConfig) -> Params:
    """`base` with the adapter added into its kernels; for export and equality tests only.

    A training step never merges: that would compute the gradient of every full kernel.
    """
    out: Params = {}
    for name, child in base.items():
        out[name] = merge(child, lora.get(name, {}), config) if isinstance(child, dict) else child
    if "a" in lora:
        # Layers are stacked in front, so one product serves all of them.
        product = jnp.einsum("...dr,...rf->...df", lora["a"], lora["b"])
        # In the base's dtype: an export keeps it, and a bfloat16 kernel rounds what is added.
        out["kernel"] = (base["kernel"] + config.scale * product).astype(base["kernel"].dtype)
    return out


def stack(adapters: Sequence[Adapter]) -> Adapter:
    """Several adapters of one base as one, so that rows of a batch can differ in theirs.

    Smaller ranks and projections without an adapter are filled up with zeros, and each adapter's
    scale is multiplied into its b, so that the stack has scale 1.

    Args:
        adapters: n of them; ranks and targets may differ.

    Returns:
        An adapter whose leaves are [L,n,D,R] and [L,n,R,F], R the largest rank.
    """
    configs = [adapter.config for adapter in adapters]
    rank = max(config.rank for config in configs)
    # With repetitions: LoraConfig makes an ordered set of them.
    targets = tuple(name for config in configs for name in config.targets)
    tree = _stacked(adapters, rank)
    return Adapter(tree, LoraConfig(rank, float(rank), targets))  # alpha = rank: scale 1


def _stacked(adapters: Sequence[Adapter], rank: int) -> AdapterTree:
    """The stack of trees, or of the same part of each; a part that one lacks is {}."""
    names = sorted({name for adapter in adapters for name in adapter.tree})
    if "a" in names:
        return _stacked_projection(adapters, rank)
    return {
        name: _stacked([Adapter(x.tree.get(name, {}), x.config) for x in adapters], rank)
        for name in names
    }


def _stacked_projection(adapters: Sequence[Adapter], rank: int) -> dict[str, jax.Array]:
    """The stack of one projection's a and b."""
    first = next(adapter.tree for adapter in adapters if adapter.tree)
    (L, D, _), F = first["a"].shape, first["b"].shape[2]
    # Columns of zeros in a meet rows of zeros in b: a smaller rank adds nothing there.
    stacked_a = jnp.zeros((L, len(adapters), D, rank), first["a"].dtype)
    stacked_b = jnp.zeros((L, len(adapters), rank, F), first["b"].dtype)
    for i, (tree, config) in enumerate(adapters):
        if tree:
            stacked_a = stacked_a.at[:, i, :, : config.rank].set(tree["a"])
            stacked_b = stacked_b.at[:, i, : config.rank].set(config.scale * tree["b"])
    return {"a": stacked_a, "b": stacked_b}


def count(tree: Any) -> int:
    """Number of parameters in a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
