"""Divergences of two models over their whole vocabulary."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.objectives.divergences import Divergence


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def between_logits(divergence: Divergence, logits_XV: jax.Array, teacher_XV: jax.Array):
    """The divergence of each token, nats [X]; the teacher is taken as constant.

    The gradient by the logits is h - p_S sum(h), with h the divergence's by log p_S. It is computed
    again from the logits in each pass that needs it: log-probabilities and h, which are as large
    as the logits, are then never written to memory.

    Args:
        divergence: a sum over outcomes.
        logits_XV: the student's, float32.
        teacher_XV: the teacher's, float32.
    """
    return _forward(divergence, logits_XV, teacher_XV)[0]


def _forward(divergence: Divergence, logits_XV, teacher_XV):
    lse_X1, teacher_lse_X1 = (
        jax.nn.logsumexp(y, axis=-1, keepdims=True) for y in (logits_XV, teacher_XV)
    )
    loss_X = divergence(logits_XV - lse_X1, teacher_XV - teacher_lse_X1)
    return loss_X, (logits_XV, teacher_XV, lse_X1, teacher_lse_X1)


def _backward(divergence: Divergence, residuals, g_X):
    logits_XV, teacher_XV, *small = residuals

    def slope(*small: Any) -> tuple[jax.Array, jax.Array]:
        # Behind a barrier, or the compiler finds that two passes have parts in common and keeps
        # these in memory.
        lse_X1, teacher_lse_X1, g_X, *_ = jax.lax.optimization_barrier(small)
        log_s_XV, log_t_XV = logits_XV - lse_X1, teacher_XV - teacher_lse_X1
        return log_s_XV, jax.vjp(lambda y: divergence(y, log_t_XV), log_s_XV)[1](g_X)[0]

    # Two passes, since sum(h) must be known before the first gradient is.
    total_X1 = jnp.sum(slope(*small, g_X)[1], axis=-1, keepdims=True)
    log_s_XV, h_XV = slope(*small, g_X, total_X1)
    return h_XV - jnp.exp(log_s_XV) * total_X1, jnp.zeros_like(teacher_XV)


between_logits.defvjp(_forward, _backward)
