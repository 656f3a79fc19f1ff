"""Log-probability of each target, a few tokens at a time, for losses that sum them up in groups."""

import jax
import jax.numpy as jnp

from duomem_jax.objectives.fused import Head, from_chunks, in_chunks, scan_live, vocab_of
from duomem_jax.objectives.replies import replies_first
from duomem_jax.objectives.text import cross_entropy


def token_logprobs(
    x_BTD: jax.Array, head: Head, targets_BT: jax.Array, mask_BT: jax.Array
) -> jax.Array:
    """log p(target) of the tokens with mask 1, 0 elsewhere; [B, T, V] logits never exist.

    Args:
        x_BTD: final hidden states.
        head: from x_BXD to logits_BXV; what it captures may be differentiated.
        targets_BT: ids of the tokens that the hidden states predict.
        mask_BT: 0 or 1.

    Returns:
        logp_BT in nats, float32.
    """
    T = x_BTD.shape[1]
    mask_BT = mask_BT > 0
    # A = T: nothing bounds the replies of a row here, and chunks without any are skipped.
    live_BA, (x_BAD, targets_BA) = replies_first(mask_BT, (x_BTD, targets_BT), T)

    def chunk_logprobs(x_BXD, live_BX, targets_BX):
        return jnp.where(live_BX, -cross_entropy(head(x_BXD), targets_BX), 0.0)

    xs = in_chunks((x_BAD, live_BA, targets_BA), vocab_of(head, x_BTD))
    # Arguments instead of a closure, see `fused.sum_over_tokens`.
    chunk_logprobs, captured = jax.closure_convert(chunk_logprobs, *(y[0] for y in xs))
    # Not summed: what is made of each value is decided later, so each has its own cotangent.
    logp_BA = from_chunks(scan_live(chunk_logprobs, False, *xs, captured), T)
    place_BT = jnp.cumsum(mask_BT, axis=1) - 1  # where `replies_first` has put the masked tokens
    # Before a row's first reply the place is -1; the mask discards what is read there.
    return jnp.where(mask_BT, jnp.take_along_axis(logp_BA, place_BT, axis=1), 0.0)
