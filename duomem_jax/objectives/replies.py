"""Which tokens of a packed row carry loss, and moving them together."""

from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.objectives.batch import Tokens


def next_tokens(tokens: Tokens) -> tuple[jax.Array, jax.Array]:
    """What each position of packed rows has to predict.

    Returns:
        (ids_BT, mask_BT bool): position t predicts token t + 1. The mask is True where that token
        is part of a reply and lies in the segment of token t: nothing predicts a first token.
    """
    segments_BT = jnp.asarray(tokens.segments_BT)
    same_BT = jnp.roll(segments_BT, -1, axis=1) == segments_BT
    mask_BT = (jnp.roll(tokens.reply_BT, -1, axis=1) > 0) & same_BT
    # `roll` brings a row's first token to its end, where nothing is predicted.
    return jnp.roll(tokens.ids_BT, -1, axis=1), mask_BT.at[:, -1].set(False)


def replies_first(mask_BT: jax.Array, tree: Any, length: int) -> tuple[jax.Array, Any]:
    """Move the tokens with mask 1 to the front of their row, in their order.

    Two rows that spell the same replies after different prompts line up there.

    Args:
        mask_BT: 0 or 1.
        tree: arrays [B,T,...].
        length: A, columns of the result; no row may have more masked tokens.

    Returns:
        (live_BA bool, the tree as [B,A,...]); where `live_BA` is False the values mean nothing.
    """
    mask_BT = mask_BT > 0
    # A stable sort of the mask, as shapes must be static: a boolean index has no fixed length.
    order_BA = jnp.argsort(~mask_BT, axis=1, stable=True)[:, :length]
    # `length` may exceed T: index 0 fills the rest, where the returned mask is False.
    order_BA = jnp.pad(order_BA, [(0, 0), (0, length - order_BA.shape[1])])

    def gather(y_BT: jax.Array) -> jax.Array:
        index = order_BA.reshape(order_BA.shape + (1,) * (y_BT.ndim - 2))
        return jnp.take_along_axis(y_BT, index, axis=1)

    count_B1 = jnp.sum(mask_BT, axis=1, keepdims=True)
    return jnp.arange(length) < count_B1, jax.tree.map(gather, tree)
