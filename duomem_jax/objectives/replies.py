"""Which tokens of a packed row carry loss, and moving them together."""

from typing import Any

import jax
import jax.numpy as jnp


def next_tokens(batch: dict[str, jax.Array], view: str = "") -> tuple[jax.Array, jax.Array]:
    """(targets_BT, mask_BT) of packed rows: position t predicts token t + 1.

    The mask is 1 where token t + 1 carries loss and lies in the segment of token t.

    Args:
        batch: packed rows.
        view: prefix of the fields, such as "teacher_".
    """
    tokens_BT, segments_BT = batch[view + "tokens"], batch[view + "segment_ids"]
    same_BT = jnp.roll(segments_BT, -1, axis=1) == segments_BT
    mask_BT = (jnp.roll(batch[view + "loss_mask"], -1, axis=1) > 0) & same_BT
    return jnp.roll(tokens_BT, -1, axis=1), mask_BT.at[:, -1].set(False)


def front(mask_BT: jax.Array, tree: Any, length: int) -> tuple[jax.Array, Any]:
    """Move the tokens with mask 1 to the front of their row, in their order.

    Two rows that spell the same replies after different prompts line up there.

    Args:
        mask_BT: 0 or 1.
        tree: arrays [B,T,...].
        length: M, columns of the result; no row may have more masked tokens.

    Returns:
        (live_BM bool, the tree as [B,M,...]); where `live_BM` is False the values mean nothing.
    """
    mask_BT = mask_BT > 0
    order_BM = jnp.argsort(~mask_BT, axis=1, stable=True)[:, :length]
    order_BM = jnp.pad(order_BM, [(0, 0), (0, length - order_BM.shape[1])])

    def gather(y_BT: jax.Array) -> jax.Array:
        index = order_BM.reshape(order_BM.shape + (1,) * (y_BT.ndim - 2))
        return jnp.take_along_axis(y_BT, index, axis=1)

    count_B1 = jnp.sum(mask_BT, axis=1, keepdims=True)
    return jnp.arange(length) < count_B1, jax.tree.map(gather, tree)
