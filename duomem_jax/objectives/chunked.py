"""Head and loss over a few tokens at a time, so that [B, T, V] logits never exist."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

LOGITS = 2**24  # most float32 logits alive at once, unless MIN_CHUNK needs more
MIN_CHUNK, MAX_CHUNK = 16, 128  # tokens of each row

Head = Callable[[jax.Array], jax.Array]  # x_...D -> logits_...V float32


def chunk_length(B: int, T: int, V: int) -> int:
    """Tokens of each row whose logits are computed together."""
    return min(T, max(MIN_CHUNK, min(MAX_CHUNK, LOGITS // (B * V))))


def sum_over_tokens(
    token_loss: Callable[..., jax.Array],
    x_BTD: jax.Array,
    head: Head,
    mask_BT: jax.Array,
    targets: Any,
) -> tuple[jax.Array, jax.Array]:
    """Sum a per-token loss over the tokens with mask 1; others never meet the head.

    Tokens with loss are gathered to the front of their row, then chunks of them go through
    head and loss under remat; a chunk without any is skipped.

    Args:
        token_loss: (logits_BCV float32, targets of those tokens) -> loss_BC float32.
        x_BTD: final hidden states.
        head: from x_BCD to logits_BCV.
        mask_BT: 0 or 1.
        targets: a tree of arrays [B,T,...].

    Returns:
        (loss_sum, weight): float32 scalars; weight counts the masked tokens.
    """
    B, T, _ = x_BTD.shape
    C = chunk_length(B, T, jax.eval_shape(head, x_BTD[:, :1]).shape[-1])
    mask_BT = mask_BT > 0
    order_BT = jnp.argsort(~mask_BT, axis=1, stable=True)

    def chunks(y_BT):  # -> [T/C, B, C, ...], tokens with loss first
        index = order_BT.reshape(order_BT.shape + (1,) * (y_BT.ndim - 2))
        y_BT = jnp.take_along_axis(y_BT, index, axis=1)
        y_BT = jnp.pad(y_BT, [(0, 0), (0, -T % C)] + [(0, 0)] * (y_BT.ndim - 2))
        return jnp.moveaxis(y_BT.reshape(B, -1, C, *y_BT.shape[2:]), 1, 0)

    def chunk_sum(x_BCD, mask_BC, targets):
        return jnp.sum(jnp.where(mask_BC, token_loss(head(x_BCD), targets), 0.0))

    @jax.checkpoint  # around the cond: inside, the head would be kept once for every chunk
    def body(total, chunk):
        _, mask_BC, _ = chunk
        loss = jax.lax.cond(mask_BC.any(), chunk_sum, lambda *_: jnp.float32(0), *chunk)
        return total + loss, None

    xs = (chunks(x_BTD), chunks(mask_BT), jax.tree.map(chunks, targets))
    loss_sum, _ = jax.lax.scan(body, jnp.float32(0), xs)
    return loss_sum, jnp.sum(mask_BT, dtype=jnp.float32)
