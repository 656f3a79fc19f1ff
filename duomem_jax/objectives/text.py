"""Cross-entropy of the tokens that were written."""

import jax
import jax.numpy as jnp


@jax.custom_vjp
def cross_entropy(logits_BCV: jax.Array, targets_BC: jax.Array) -> jax.Array:
    """-log p(target), nats.

    Args:
        logits_BCV: float32.
        targets_BC: int32.
    """
    return _forward(logits_BCV, targets_BC)[0]


def _forward(logits_BCV, targets_BC):
    picked_BC1 = jnp.take_along_axis(logits_BCV, targets_BC[..., None], axis=-1)
    lse_BC = jax.nn.logsumexp(logits_BCV, axis=-1)
    return lse_BC - picked_BC1[..., 0], (logits_BCV, targets_BC, lse_BC)


def _backward(residuals, g_BC):
    # Softmax minus one-hot in one pass: left to itself, the gradient of an index is a scatter
    # into zeros of [B,C,V].
    logits_BCV, targets_BC, lse_BC = residuals
    ours_BCV = jnp.arange(logits_BCV.shape[-1]) == targets_BC[..., None]
    p_BCV = jnp.exp(logits_BCV - lse_BC[..., None])
    return (p_BCV - ours_BCV) * g_BC[..., None], None


cross_entropy.defvjp(_forward, _backward)
