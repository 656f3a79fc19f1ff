"""What two models say about the same chunks of text, each in its own tokens.

A view is one model's side of packed rows: `tokens`, `segment_ids`, `loss_mask` and `chunks`, all
[B, T]. `chunks` numbers the tokens with loss, 0 for none; equal numbers on both sides spell the
same bytes (`text.alignment`). N, how many numbers are kept room for, is static: no row has more
chunks than tokens on either side, so the shorter T always does.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from duomem_jax.objectives.chunked import Head
from duomem_jax.objectives.logprobs import token_logprobs
from duomem_jax.objectives.replies import next_tokens

ChunkLoss = Callable[[jax.Array, jax.Array], jax.Array]


def chunk_logprobs(x_BTD: jax.Array, head: Head, view: dict, N: int) -> tuple[jax.Array, jax.Array]:
    """Log-probability of each chunk: the sum over its tokens.

    Args:
        x_BTD: final hidden states of the view's rows.
        head: from x_BCD to logits_BCV; what it captures may be differentiated.
        view: one model's side of a batch.
        N: chunks that there is room for in a row.

    Returns:
        (logp_BN float32, live_BN): chunk n + 1 in column n; live where the row has the chunk and
        predicts all its tokens. A chunk whose first token opens its segment is not live.
    """
    targets_BT, mask_BT = next_tokens(view)
    number_BT = _next_numbers(view)
    logp_BT = token_logprobs(x_BTD, head, targets_BT, mask_BT)
    return _sum_by_number(logp_BT, number_BT, N), _live(mask_BT, number_BT, N)


def states_before_chunks(x_BTD: jax.Array, view: dict, N: int) -> tuple[jax.Array, jax.Array]:
    """Hidden states that predict the first token of each chunk.

    There both models have read the same bytes of the reply, as inside a chunk they have not.

    Returns:
        (x_BND, live_BN), as in `chunk_logprobs`; states of chunks that are not live are arbitrary.
    """
    _, mask_BT = next_tokens(view)
    number_BT = _next_numbers(view)
    place_BN = jax.vmap(
        lambda number_T: jax.ops.segment_min(jnp.arange(number_T.size), number_T, N + 1)[1:]
    )(number_BT)
    place_BN = jnp.minimum(place_BN, x_BTD.shape[1] - 1)  # absent chunks have none
    x_BND = jnp.take_along_axis(x_BTD, place_BN[..., None], axis=1)
    return x_BND, _live(mask_BT, number_BT, N)


def sum_over_chunks(
    chunk_loss: ChunkLoss, student_BN: jax.Array, teacher_BN: jax.Array, live_BN: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Sum a loss on pairs of chunk log-probabilities over the live chunks.

    Args:
        chunk_loss: (student_BN, teacher_BN), both float32 and at most 0 -> loss_BN.
        student_BN: log-probabilities under the student.
        teacher_BN: those under the teacher, taken as constants; where not live of any value.
        live_BN: chunks that both sides have.

    Returns:
        (loss_sum, weight = number of live chunks), float32 scalars.
    """
    live_BN = live_BN > 0

    def cleaned(logp_BN):
        # Rounding makes sure things a little more than sure; and no NaN may reach a gradient.
        logp_BN = logp_BN.astype(jnp.float32)
        return jnp.where(live_BN, jnp.where(logp_BN > 0, 0.0, logp_BN), -1.0)

    student_BN, teacher_BN = cleaned(student_BN), cleaned(jax.lax.stop_gradient(teacher_BN))
    loss_BN = jnp.where(live_BN, chunk_loss(student_BN, teacher_BN), 0.0)
    return jnp.sum(loss_BN), jnp.sum(live_BN, dtype=jnp.float32)


def _next_numbers(view: dict) -> jax.Array:
    """The chunk of the token that each position predicts."""
    return jnp.roll(view["chunks"].astype(jnp.int32), -1, axis=1)


def _sum_by_number(y_BT: jax.Array, number_BT: jax.Array, N: int) -> jax.Array:
    total = jax.vmap(lambda y_T, number_T: jax.ops.segment_sum(y_T, number_T, N + 1))
    return total(y_BT, number_BT)[:, 1:]


def _live(mask_BT: jax.Array, number_BT: jax.Array, N: int) -> jax.Array:
    tokens_BN = _sum_by_number(jnp.ones_like(number_BT), number_BT, N)
    predicted_BN = _sum_by_number(mask_BT.astype(jnp.int32), number_BT, N)
    return (tokens_BN > 0) & (tokens_BN == predicted_BN)
