"""Universal logit distillation (Boizard et al., arXiv 2402.12030), the cross-tokenizer baseline."""

import jax
import jax.numpy as jnp

from duomem_jax.objectives.fused import Head, sum_over_tokens, vocab_of


def uld_loss(
    student_x_BUD: jax.Array,
    student_head: Head,
    teacher_x_BUE: jax.Array,
    teacher_head: Head,
    live_BU: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """sum_i |s_i - t_i| of the sorted next-token probabilities before each live chunk.

    Sorted descending; the smaller vocabulary is filled with zeros. The paper pairs the positions of
    the two tokenizations by their number, which drifts apart with the first word that is cut
    differently; here the pairs are the positions before aligned chunks, where both models have read
    the same bytes. Which word has which probability is lost in any case.

    The width D differs between the two models. [B, U, V] logits never exist.

    Args:
        student_x_BUD: hidden states before each chunk, see `chunks.states_before_chunks`.
        student_head: to the student's logits; what it captures may be differentiated.
        teacher_x_BUE: the teacher's hidden states there, constants.
        teacher_head: to the teacher's logits.
        live_BU: chunks that both sides have.

    Returns:
        (loss_sum, weight = number of live chunks), float32 scalars; a chunk adds at most 2.
    """

    def distance(logits_XV, teacher_x_XE):
        s_XV = _sorted_probabilities(logits_XV)
        t_XV = _sorted_probabilities(jax.lax.stop_gradient(teacher_head(teacher_x_XE)))
        V = max(s_XV.shape[-1], t_XV.shape[-1])
        return jnp.sum(jnp.abs(_padded(s_XV, V) - _padded(t_XV, V)), axis=-1)

    # Both models' logits of a chunk exist at once, so both count for its length.
    vocab = vocab_of(teacher_head, teacher_x_BUE)
    return sum_over_tokens(
        distance, student_x_BUD, student_head, live_BU, teacher_x_BUE, other_vocab=vocab
    )


def _sorted_probabilities(logits_XV: jax.Array) -> jax.Array:
    return jnp.sort(jax.nn.softmax(logits_XV, axis=-1), axis=-1, descending=True)


def _padded(p_XV: jax.Array, V: int) -> jax.Array:
    # Behind the sorted ones: in front, zeros would meet the other side's likeliest words.
    return jnp.pad(p_XV, ((0, 0), (0, V - p_XV.shape[-1])))
