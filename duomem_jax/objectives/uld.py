"""Universal logit distillation (Boizard et al., arXiv 2402.12030), the cross-tokenizer baseline."""

import jax
import jax.numpy as jnp

from duomem_jax.objectives.chunked import Head, sum_over_tokens


def uld_loss(
    student_x_BND: jax.Array,
    student_head: Head,
    teacher_x_BND: jax.Array,
    teacher_head: Head,
    live_BN: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """sum_i |s_i - t_i| of the sorted next-token probabilities before each live chunk.

    Sorted descending; the smaller vocabulary goes on with zeros. The paper pairs the positions of
    the two tokenizations by their number, which drifts apart with the first word that is cut
    differently; here the pairs are the positions before aligned chunks, where both models have read
    the same bytes. Which word has which probability is lost in any case.

    The width D differs between the two models. [B, N, V] logits never exist.

    Args:
        student_x_BND: hidden states before each chunk, see `aligned.states_before_chunks`.
        student_head: to the student's logits; what it captures may be differentiated.
        teacher_x_BND: the teacher's hidden states there, constants.
        teacher_head: to the teacher's logits.
        live_BN: chunks that both sides have.

    Returns:
        (loss_sum, weight = number of live chunks), float32 scalars; a chunk adds at most 2.
    """

    def distance(logits_MV, teacher_x_MD):
        s_MV = _sorted_probabilities(logits_MV)
        t_MV = _sorted_probabilities(jax.lax.stop_gradient(teacher_head(teacher_x_MD)))
        V = max(s_MV.shape[-1], t_MV.shape[-1])
        return jnp.sum(jnp.abs(_padded(s_MV, V) - _padded(t_MV, V)), axis=-1)

    vocab = jax.eval_shape(teacher_head, teacher_x_BND[:, :1]).shape[-1]
    return sum_over_tokens(
        distance, student_x_BND, student_head, live_BN, teacher_x_BND, other_vocab=vocab
    )


def _sorted_probabilities(logits_MV: jax.Array) -> jax.Array:
    return jnp.sort(jax.nn.softmax(logits_MV, axis=-1), axis=-1, descending=True)


def _padded(p_MV: jax.Array, V: int) -> jax.Array:
    return jnp.pad(p_MV, ((0, 0), (0, V - p_MV.shape[-1])))
