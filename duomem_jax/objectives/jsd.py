"""Generalised Jensen-Shannon divergence (GKD, arXiv 2306.13649, equation 1)."""

import jax

from duomem_jax.objectives.forward_kl import forward_kl
from duomem_jax.objectives.mixture import log_mixture
from duomem_jax.objectives.reverse_kl import reverse_kl


def jsd(log_s_N: jax.Array, log_t_N: jax.Array, beta: float) -> jax.Array:
    """beta KL(p_T || M) + (1 - beta) KL(p_S || M) with M = beta p_T + (1 - beta) p_S, nats.

    For small beta it is beta times the forward KL, near 1 it is 1 - beta times the reverse one.
    At the two ends it is those divergences themselves, as in TRL's GKD.

    Args:
        log_s_N: the student's log-probabilities.
        log_t_N: the teacher's.
        beta: the teacher's share of the mixture, 0 to 1.
    """
    if beta in (0, 1):
        return (reverse_kl if beta else forward_kl)(log_s_N, log_t_N)
    log_m_N = log_mixture(log_t_N, log_s_N, beta)
    return beta * forward_kl(log_m_N, log_t_N) + (1 - beta) * forward_kl(log_m_N, log_s_N)
