"""Approximate likelihood matching (Minixhofer et al., arXiv 2503.20083): equal odds for each chunk.

A chunk comes or does not come: with p = exp(logp / temperature) against 1 - p. The student's p is
drawn to the teacher's. The three divergences are those of tokenkit, the authors' code.
"""

import jax
import jax.numpy as jnp

from duomem_jax.objectives.aligned.chunks import sum_over_chunks

_EPS = 1e-6  # keeps p below 1, where log(1 - p) has no value


def alm_loss(
    student_BU: jax.Array,
    teacher_BU: jax.Array,
    live_BU: jax.Array,
    *,
    temperature: float = 100.0,
    divergence: str = "binary_cross_entropy",
) -> tuple[jax.Array, jax.Array]:
    """Divergence of the student's chunks from the teacher's, summed over the live chunks.

    Gradients shrink as 1 / temperature, so a weight beside other losses has to grow with it; those
    of "binary_kl_limit" do not, and it has no temperature.

    Args:
        student_BU: log-probability of each chunk, see `chunks.chunk_logprobs`.
        teacher_BU: the teacher's, a constant.
        live_BU: chunks that both sides have.
        temperature: of the chunk's probability; tokenkit's default.
        divergence: a name in `DIVERGENCES`.

    Returns:
        (loss_sum in nats, weight = number of live chunks), float32 scalars.
    """

    def chunk_loss(student_BU, teacher_BU):
        return DIVERGENCES[divergence](student_BU, teacher_BU, temperature)

    return sum_over_chunks(chunk_loss, student_BU, teacher_BU, live_BU)


def binary_cross_entropy(
    student_BU: jax.Array, teacher_BU: jax.Array, temperature: float
) -> jax.Array:
    """-(t log s + (1 - t) log(1 - s)) with s, t = exp(logp / temperature)."""
    s_BU, t_BU = student_BU / temperature - _EPS, teacher_BU / temperature - _EPS
    # expm1 and log1mexp: at a high temperature most p are close to 1, where 1 - p keeps few digits.
    return -(jnp.exp(t_BU) * s_BU - jnp.expm1(t_BU) * jax.nn.log1mexp(-s_BU))


def reverse_binary_kl(
    student_BU: jax.Array, teacher_BU: jax.Array, temperature: float
) -> jax.Array:
    """s log(s / t) + (1 - s) log((1 - s) / (1 - t)) with s, t = exp(logp / temperature)."""
    s_BU, t_BU = student_BU / temperature - _EPS, teacher_BU / temperature - _EPS
    rest_BU = jax.nn.log1mexp(-s_BU) - jax.nn.log1mexp(-t_BU)
    return jnp.exp(s_BU) * (s_BU - t_BU) - jnp.expm1(s_BU) * rest_BU


def binary_kl_limit(student_BU: jax.Array, teacher_BU: jax.Array) -> jax.Array:
    """a log(a / b) - a + b with a = -logp of the teacher, b = -logp of the student.

    The limit of temperature * KL(t, s) as the temperature grows.
    """
    # Above 0: a chunk that is certain would otherwise take the logarithm of 0.
    a_BU, b_BU = _EPS - teacher_BU, _EPS - student_BU
    return a_BU * (jnp.log(a_BU) - jnp.log(b_BU)) - a_BU + b_BU


DIVERGENCES = {
    "binary_cross_entropy": binary_cross_entropy,
    "reverse_binary_kl": reverse_binary_kl,
    "binary_kl_limit": lambda student_BU, teacher_BU, _: binary_kl_limit(student_BU, teacher_BU),
}
