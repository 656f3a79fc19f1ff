"""Divergences of two models over their whole vocabulary."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# From both sides' log-probabilities over N outcomes to nats.
Divergence = Callable[[jax.Array, jax.Array], jax.Array]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def between_logits(divergence: Divergence, logits_MV: jax.Array, teacher_MV: jax.Array):
    """The divergence of each token, nats [M]; the teacher is taken as constant.

    The gradient by the logits is h - p_S sum(h), with h the divergence's by log p_S. It is made
    again from the logits in each pass that needs it: log-probabilities and h, which are as large
    as the logits, are then written nowhere.

    Args:
        divergence: a sum over outcomes.
        logits_MV: the student's, float32.
        teacher_MV: the teacher's, float32.
    """
    return _forward(divergence, logits_MV, teacher_MV)[0]


def _forward(divergence: Divergence, logits_MV, teacher_MV):
    lse_M1, teacher_lse_M1 = (
        jax.nn.logsumexp(y, axis=-1, keepdims=True) for y in (logits_MV, teacher_MV)
    )
    loss_M = divergence(logits_MV - lse_M1, teacher_MV - teacher_lse_M1)
    return loss_M, (logits_MV, teacher_MV, lse_M1, teacher_lse_M1)


def _backward(divergence: Divergence, residuals, g_M):
    logits_MV, teacher_MV, *small = residuals

    def slope(*small: Any) -> tuple[jax.Array, jax.Array]:
        # Behind a barrier, or the compiler finds that two passes have parts in common and keeps
        # these in memory.
        lse_M1, teacher_lse_M1, g_M, *_ = jax.lax.optimization_barrier(small)
        log_s_MV, log_t_MV = logits_MV - lse_M1, teacher_MV - teacher_lse_M1
        return log_s_MV, jax.vjp(lambda y: divergence(y, log_t_MV), log_s_MV)[1](g_M)[0]

    total_M1 = jnp.sum(slope(*small, g_M)[1], axis=-1, keepdims=True)
    log_s_MV, h_MV = slope(*small, g_M, total_M1)
    return h_MV - jnp.exp(log_s_MV) * total_M1, jnp.zeros_like(teacher_MV)


between_logits.defvjp(_forward, _backward)
