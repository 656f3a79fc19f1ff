"""Read a chunk of tokens into some rows."""

import jax
import jax.numpy as jnp

from duomem_jax.decode.rows import Group, Layers, Weights
from duomem_jax.models.model import Model


def read(
    model: Model,
    keys: int,
    weights: Weights,
    layers: Layers,
    x_YD: jax.Array,
    group: Group,
    tokens_BT: jax.Array,
    n_new_B: jax.Array,
) -> tuple[Layers, jax.Array]:
    """Append up to T tokens to each row of a group.

    Args:
        model: the decoder.
        keys: tokens of the cache to look at, at least those of the longest row after this.
        weights: of the model and its adapter.
        layers: keys and values of all rows; donated.
        x_YD: last hidden state of every row; donated.
        group: the rows.
        tokens_BT: int32, right padded.
        n_new_B: int32, tokens of each row that count.

    Returns:
        The keys and values, and x_YD with the last hidden state of these rows replaced.
    """
    part = group.gather(layers, keys)
    base, lora = weights
    x_BTD, part = model.extend(base, part, tokens_BT, n_new_B, lora, group.adapter_B)
    last_BD = x_BTD[jnp.arange(len(n_new_B)), n_new_B - 1]
    return group.scatter(layers, part), x_YD.at[group.rows_B].set(last_BD, mode="drop")
