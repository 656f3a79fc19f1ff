"""A student's view of a few of the teacher's candidates instead of the whole vocabulary."""

import math

import jax
import jax.numpy as jnp

# Least log-probability of the rest: below it float32 knows only that it is small.
LOWEST = -13.8


@jax.custom_vjp
def log_probs_of(logits_V: jax.Array, ids_C: jax.Array) -> jax.Array:
    """log_p_C of C tokens; an id may occur several times.

    Args:
        logits_V: float32, leading axes free.
        ids_C: int32, the same leading axes.
    """
    return _forward(logits_V, ids_C)[0]


def _forward(logits_V, ids_C):
    # Only what is picked is normalised: a whole log-softmax would be a second array of logits.
    lse = jax.nn.logsumexp(logits_V, axis=-1, keepdims=True)
    return jnp.take_along_axis(logits_V, ids_C, axis=-1) - lse, (logits_V, ids_C, lse)


def _backward(residuals, g_C):
    # The softmax is written once and the candidates are added in place; left to itself, the
    # gradient of the index is a second array as large as the logits.
    logits_V, ids_C, lse = residuals
    d_V = -jnp.exp(logits_V - lse) * jnp.sum(g_C, axis=-1, keepdims=True)
    # Mapped over tokens, not indexed by them: each device then adds to its own tokens, and
    # nothing is gathered from the others.
    add = jnp.vectorize(
        lambda d_V, ids_C, g_C: d_V.at[ids_C].add(g_C), signature="(v),(c),(c)->(v)"
    )
    return add(d_V, ids_C, g_C), None


log_probs_of.defvjp(_forward, _backward)


def with_rest(log_p_C: jax.Array) -> jax.Array:
    """log_p_O with O = C + 1: all other tokens together are the last outcome."""
    # Without this outcome a student would learn to be sure of the candidates (arXiv 2503.16870).
    # Rounding can bring the sum to 1 or above, hence the least value below.
    rest = 1 - jnp.sum(jnp.exp(log_p_C), axis=-1, keepdims=True)
    return jnp.concatenate([log_p_C, jnp.log(jnp.maximum(rest, math.exp(LOWEST)))], axis=-1)
