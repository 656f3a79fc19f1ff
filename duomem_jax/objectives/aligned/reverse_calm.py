"""Reverse CALM, the cross-tokenizer loss of TIDE (arXiv 2604.26951), as its code has it."""

import jax
import jax.numpy as jnp

from duomem_jax.objectives.aligned.chunks import sum_over_chunks

_CLAMP = 1e-7  # s and t stay as far from 0 and 1


def reverse_calm_loss(
    student_BU: jax.Array,
    teacher_BU: jax.Array,
    live_BU: jax.Array,
    *,
    temperature: float = 2.0,
) -> tuple[jax.Array, jax.Array]:
    """-(s log t + (1 - s) log(1 - t)) with s, t = exp(logp / temperature), kept off 0 and 1.

    Caution: this is linear in s and no divergence. It lacks the student's entropy, so it is least
    at s = 1 where t > 1/2 and at s = 0 where t < 1/2, never at s = t: a chunk that the teacher
    gives less than (1/2)^temperature is unlearnt, however likely it is among its rivals (under 0.25
    at temperature 2, under 0.03 at 5). On text the teacher wrote that filters out its slips. Always
    add cross-entropy; for a divergence take `alm_loss` with "reverse_binary_kl".

    Args:
        student_BU: log-probability of each chunk, see `chunks.chunk_logprobs`.
        teacher_BU: the teacher's, a constant.
        live_BU: chunks that both sides have.
        temperature: of the chunk's probability; TIDE's default.

    Returns:
        (loss_sum in nats, weight = number of live chunks), float32 scalars.
    """

    def probability(logp_BU):
        # In float32, as `sum_over_chunks` gives it: in bfloat16 1 - _CLAMP is 1.
        return jnp.clip(jnp.exp(logp_BU / temperature), _CLAMP, 1 - _CLAMP)

    def chunk_loss(student_BU, teacher_BU):
        s_BU, t_BU = probability(student_BU), probability(teacher_BU)
        return -(s_BU * jnp.log(t_BU) + (1 - s_BU) * jnp.log1p(-t_BU))

    return sum_over_chunks(chunk_loss, student_BU, teacher_BU, live_BU)
