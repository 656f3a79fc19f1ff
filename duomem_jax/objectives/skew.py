"""Skew divergences: a little of the one in the other keeps the ratio bounded.

DistiLLM, arXiv 2402.03898; its default skew is 0.1. Both are at most -log(skew).
"""

import jax

from duomem_jax.objectives.forward_kl import forward_kl
from duomem_jax.objectives.mixture import log_mixture


def skew_forward_kl(log_s_N: jax.Array, log_t_N: jax.Array, skew: float) -> jax.Array:
    """KL(p_T || skew p_T + (1 - skew) p_S), nats, over the last axis."""
    return forward_kl(log_mixture(log_t_N, log_s_N, skew), log_t_N)


def skew_reverse_kl(log_s_N: jax.Array, log_t_N: jax.Array, skew: float) -> jax.Array:
    """KL(p_S || skew p_S + (1 - skew) p_T), nats, over the last axis."""
    return forward_kl(log_mixture(log_s_N, log_t_N, skew), log_s_N)
