"""Next-token cross-entropy on the tokens that carry loss."""

import jax
import jax.numpy as jnp

from duomem_jax.objectives.chunked import Head, sum_over_tokens


def next_tokens(batch: dict) -> tuple[jax.Array, jax.Array]:
    """(targets_BT, mask_BT) of a packed batch: position t predicts token t + 1.

    The mask is 1 where token t + 1 carries loss and lies in the segment of token t.
    """
    targets_BT = jnp.roll(batch["tokens"], -1, axis=1)
    same_BT = jnp.roll(batch["segment_ids"], -1, axis=1) == batch["segment_ids"]
    mask_BT = (jnp.roll(batch["loss_mask"], -1, axis=1) > 0) & same_BT
    return targets_BT, mask_BT.at[:, -1].set(False)


def _cross_entropy(logits_BCV: jax.Array, targets_BC: jax.Array) -> jax.Array:
    # A comparison instead of an index: its gradient is then no scatter into zeros of [B,C,V].
    ours_BCV = jnp.arange(logits_BCV.shape[-1]) == targets_BC[..., None]
    picked_BC = jnp.sum(jnp.where(ours_BCV, logits_BCV, 0.0), axis=-1)
    return jax.nn.logsumexp(logits_BCV, axis=-1) - picked_BC


def text_loss(
    x_BTD: jax.Array, head: Head, targets_BT: jax.Array, mask_BT: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy of `targets_BT`, summed over the tokens with mask 1.

    Returns:
        (loss_sum in nats, weight = number of those tokens), float32 scalars.
    """
    return sum_over_tokens(_cross_entropy, x_BTD, head, mask_BT, targets_BT)
