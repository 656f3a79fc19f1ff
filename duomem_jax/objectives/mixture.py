"""Mixtures of two distributions."""

import math

import jax
import jax.numpy as jnp


def log_mixture(log_p_N: jax.Array, log_q_N: jax.Array, share: float) -> jax.Array:
    """log(share p + (1 - share) q), for a share between 0 and 1."""
    return jnp.logaddexp(log_p_N + math.log(share), log_q_N + math.log1p(-share))
