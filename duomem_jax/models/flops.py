"""Operations that a train step needs, nothing computed twice: the numerator of MFU.

A frozen kernel takes one product forward and one for the gradient of its input, a trained one
another for its own gradient; attention twice as much backward as forward (PaLM, arXiv 2204.02311).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from duomem_jax.models.model import Model


class Load(NamedTuple):
    """What a model is given in one step; numbers, or traced scalars."""

    tokens: Any  # that are not padding
    pairs: Any  # of a query and a key that it sees, over all layers
    scored: Any  # tokens that meet the head


def load_of(model: Model, positions_BT: jax.Array, segments_BT: jax.Array, scored: Any) -> Load:
    """What packed rows ask of a model, traced.

    Args:
        model: which reads them.
        positions_BT: int32, restarting in each segment.
        segments_BT: int32, 0 pads.
        scored: tokens that meet the head.
    """
    real_BT = segments_BT > 0
    # float32, as the pairs of a large batch do not fit into an int32.
    seen_BT = jnp.where(real_BT, positions_BT + 1, 0).astype(jnp.float32)
    pairs = sum(
        layers * jnp.sum(jnp.minimum(seen_BT, window) if window else seen_BT)
        for window, layers in windows(model)
    )
    return Load(jnp.sum(real_BT, dtype=jnp.float32), pairs, scored)


def windows(model: Model) -> list[tuple[int, int]]:
    """(window, 0 for none; number of layers that have it)."""
    near = sum(model.config.sliding or ())
    return [(model.config.window, near), (0, model.config.n_layers - near)]


def train_flops(model: Model, load: Load) -> Any:
    """Forward and backward; of the adapter and what it needs where there is one, else of all."""
    if model.lora is None:
        return _flops(model, load, 3, 3)
    # 3 passes through the adapter, 2 operations (multiply, add) for each of its numbers.
    return _flops(model, load, 2, 3) + 3 * 2 * load.tokens * _size(model.shapes()["lora"])


def forward_flops(model: Model, load: Load) -> Any:
    """Operations of the forward pass alone, as a teacher's."""
    return _flops(model, load, 1, 1)


def _flops(model: Model, load: Load, passes: int, attention_passes: int) -> Any:
    """Operations of so many passes through the kernels and the head, and through attention."""
    c = model.config
    kernels = load.tokens * _size(model.shapes()["params"]["layers"])
    head = load.scored * (c.vocab_size * c.d_model)
    # 4 N H a pair: scores and weighted values, a multiplication and an addition each.
    return 2 * passes * (kernels + head) + attention_passes * 4 * (c.n_heads * c.head_dim) * (
        load.pairs
    )


def _size(tree: dict) -> float:
    """As a float: a product with a traced count must not overflow."""
    return float(sum(leaf.size for leaf in jax.tree.leaves(tree)))
