"""Reverse KL: say nothing that the teacher would not (MiniLLM, arXiv 2306.08543)."""

import jax
import jax.numpy as jnp


def reverse_kl(log_s_N: jax.Array, log_t_N: jax.Array) -> jax.Array:
    """KL(p_S || p_T) = sum p_S (log p_S - log p_T), nats, over the last axis.

    Args:
        log_s_N: the student's log-probabilities.
        log_t_N: the teacher's, finite.
    """
    return jnp.sum(jnp.exp(log_s_N) * (log_s_N - log_t_N), axis=-1)
