"""Forward KL: cover all that the teacher might say (Hinton et al., arXiv 1503.02531)."""

import jax
import jax.numpy as jnp


def forward_kl(log_s_N: jax.Array, log_t_N: jax.Array) -> jax.Array:
    """KL(p_T || p_S) = sum p_T (log p_T - log p_S), nats, over the last axis.

    Args:
        log_s_N: the student's log-probabilities.
        log_t_N: the teacher's; an outcome at -inf counts nothing.
    """
    terms = jnp.exp(log_t_N) * (log_t_N - log_s_N)
    return jnp.sum(jnp.where(jnp.isneginf(log_t_N), 0.0, terms), axis=-1)
