"""Divergences between a student's and a teacher's distribution over the same O outcomes.

Outcomes are the tokens of the vocabulary, or a few candidates and one rest. Every function takes
log-probabilities [...,O], the student's first, and gives nats [...].
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from duomem_jax.objectives.config import ObjectiveConfig

Divergence = Callable[[jax.Array, jax.Array], jax.Array]


def forward_kl(log_s_O: jax.Array, log_t_O: jax.Array) -> jax.Array:
    """KL(p_T || p_S) = sum p_T (log p_T - log p_S): cover all that the teacher might say.

    An outcome to which the teacher gives -inf counts nothing (Hinton et al., arXiv 1503.02531).
    """
    # 0 * inf is NaN. The `where` may follow it, as the gradient by `log_s_O` is -p_T, here 0.
    terms = jnp.exp(log_t_O) * (log_t_O - log_s_O)
    return jnp.sum(jnp.where(jnp.isneginf(log_t_O), 0.0, terms), axis=-1)


def reverse_kl(log_s_O: jax.Array, log_t_O: jax.Array) -> jax.Array:
    """KL(p_S || p_T) = sum p_S (log p_S - log p_T): say nothing the teacher would not.

    The teacher's log-probabilities must be finite (MiniLLM, arXiv 2306.08543).
    """
    return jnp.sum(jnp.exp(log_s_O) * (log_s_O - log_t_O), axis=-1)


def jsd(log_s_O: jax.Array, log_t_O: jax.Array, beta: float) -> jax.Array:
    """beta KL(p_T || M) + (1 - beta) KL(p_S || M) with M = beta p_T + (1 - beta) p_S.

    For small beta it is beta times the forward KL, near 1 it is 1 - beta times the reverse one.
    At the two ends, where that would be 0, it is those divergences themselves, as in TRL's GKD
    (GKD, arXiv 2306.13649, equation 1).

    Args:
        log_s_O: the student's log-probabilities.
        log_t_O: the teacher's.
        beta: the teacher's share of the mixture, 0 to 1.
    """
    # `beta` is a Python number: which branch is taken is decided while tracing.
    if beta == 0:
        return forward_kl(log_s_O, log_t_O)
    if beta == 1:
        return reverse_kl(log_s_O, log_t_O)
    log_m_O = _log_mixture(log_t_O, log_s_O, beta)
    # Both terms by `forward_kl`, whose second argument is the one that weighs: KL(p || M).
    return beta * forward_kl(log_m_O, log_t_O) + (1 - beta) * forward_kl(log_m_O, log_s_O)


def skew_forward_kl(log_s_O: jax.Array, log_t_O: jax.Array, skew: float) -> jax.Array:
    """KL(p_T || skew p_T + (1 - skew) p_S), at most -log(skew).

    A little of the one in the other keeps the ratio bounded (DistiLLM, arXiv 2402.03898).
    """
    return forward_kl(_log_mixture(log_t_O, log_s_O, skew), log_t_O)


def skew_reverse_kl(log_s_O: jax.Array, log_t_O: jax.Array, skew: float) -> jax.Array:
    """KL(p_S || skew p_S + (1 - skew) p_T), at most -log(skew)."""
    return forward_kl(_log_mixture(log_s_O, log_t_O, skew), log_s_O)


def _log_mixture(log_p_O: jax.Array, log_q_O: jax.Array, share: float) -> jax.Array:
    """log(share p + (1 - share) q), for a share strictly between 0 and 1."""
    # In logarithms throughout: exp underflows for unlikely words, and their log would be -inf.
    return jnp.logaddexp(log_p_O + math.log(share), log_q_O + math.log1p(-share))


DIVERGENCES: dict[str, Callable[..., jax.Array]] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": jsd,
    "skew_forward_kl": skew_forward_kl,
    "skew_reverse_kl": skew_reverse_kl,
}
# The field of `ObjectiveConfig` that a divergence takes besides the two distributions.
_PARAMETERS = {"jsd": "beta", "skew_forward_kl": "skew", "skew_reverse_kl": "skew"}


def make_divergence(config: ObjectiveConfig) -> Divergence:
    """The divergence that an objective names, with its parameter filled in."""
    divergence, name = DIVERGENCES[config.name], _PARAMETERS.get(config.name)
    if name is None:
        return divergence
    return functools.partial(divergence, **{name: getattr(config, name)})
