"""Cross-entropy of the tokens that were written."""

import jax
import jax.numpy as jnp


@jax.custom_vjp
def cross_entropy(logits_XV: jax.Array, targets_X: jax.Array) -> jax.Array:
    """-log p(target), nats.

    Args:
        logits_XV: float32.
        targets_X: int32.
    """
    return _forward(logits_XV, targets_X)[0]


def _forward(logits_XV, targets_X):
    picked_X1 = jnp.take_along_axis(logits_XV, targets_X[..., None], axis=-1)
    lse_X = jax.nn.logsumexp(logits_XV, axis=-1)
    # Kept for the gradient: the logits, which are there anyway, and one number a token.
    return lse_X - picked_X1[..., 0], (logits_XV, targets_X, lse_X)


def _backward(residuals, g_X):
    # Softmax minus one-hot in one pass: left to itself, the gradient of an index is a scatter
    # into zeros of [X,V].
    logits_XV, targets_X, lse_X = residuals
    ours_XV = jnp.arange(logits_XV.shape[-1]) == targets_X[..., None]
    p_XV = jnp.exp(logits_XV - lse_X[..., None])
    return (p_XV - ours_XV) * g_X[..., None], None


cross_entropy.defvjp(_forward, _backward)
