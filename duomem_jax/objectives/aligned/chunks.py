"""What two models say about the same chunks of text, each in its own tokens.

`Tokens.chunks_BT` numbers the tokens of replies, 0 for none; equal numbers on both sides spell the
same bytes (`text.alignment`). U, how many numbers there is room for, is static: no row has more
chunks than tokens on either side, so the shorter T is always enough.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from duomem_jax.objectives.batch import Tokens
from duomem_jax.objectives.logprobs import token_logprobs
from duomem_jax.objectives.replies import next_tokens
from duomem_jax.objectives.targets import States

ChunkLoss = Callable[[jax.Array, jax.Array], jax.Array]


def chunk_logprobs(states: States, tokens: Tokens, U: int) -> tuple[jax.Array, jax.Array]:
    """Log-probability of each chunk: the sum over its tokens.

    Args:
        states: final hidden states over `tokens`; what the head captures may be differentiated.
        tokens: one model's side of a batch, with chunks.
        U: chunks that there is room for in a row.

    Returns:
        (logp_BU float32, live_BU): chunk n + 1 in column n; live where the row has the chunk and
        predicts all its tokens. A chunk whose first token opens its segment is not live.
    """
    targets_BT, mask_BT = next_tokens(tokens)
    number_BT = _next_numbers(tokens)
    logp_BT = token_logprobs(states.x_BTD, states.head, targets_BT, mask_BT)
    return _sum_by_number(logp_BT, number_BT, U), _live(mask_BT, number_BT, U)


def states_before_chunks(x_BTD: jax.Array, tokens: Tokens, U: int) -> tuple[jax.Array, jax.Array]:
    """Hidden states that predict the first token of each chunk.

    There both models have read the same bytes of the reply, as inside a chunk they have not.

    Returns:
        (x_BUD, live_BU), as in `chunk_logprobs`; states of chunks that are not live are arbitrary.
    """
    _, mask_BT = next_tokens(tokens)
    number_BT = _next_numbers(tokens)
    # Number 0, no chunk, has slot 0 and is cut off again.
    place_BU = jax.vmap(
        lambda number_T: jax.ops.segment_min(jnp.arange(number_T.size), number_T, U + 1)[1:]
    )(number_BT)
    place_BU = jnp.minimum(place_BU, x_BTD.shape[1] - 1)  # absent chunks have none
    x_BUD = jnp.take_along_axis(x_BTD, place_BU[..., None], axis=1)
    return x_BUD, _live(mask_BT, number_BT, U)


def sum_over_chunks(
    chunk_loss: ChunkLoss, student_BU: jax.Array, teacher_BU: jax.Array, live_BU: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Sum a loss on pairs of chunk log-probabilities over the live chunks.

    Args:
        chunk_loss: (student_BU, teacher_BU), both float32 and at most 0 -> loss_BU.
        student_BU: log-probabilities under the student.
        teacher_BU: those under the teacher, taken as constants; where not live of any value.
        live_BU: chunks that both sides have.

    Returns:
        (loss_sum, weight = number of live chunks), float32 scalars.
    """
    live_BU = live_BU > 0

    def cleaned(logp_BU):
        # Rounding can lift the probability of a certain chunk above 1. And where a chunk is not
        # live its value may be NaN, which a `where` after the loss would still let into gradients.
        logp_BU = logp_BU.astype(jnp.float32)
        return jnp.where(live_BU, jnp.where(logp_BU > 0, 0.0, logp_BU), -1.0)

    student_BU, teacher_BU = cleaned(student_BU), cleaned(jax.lax.stop_gradient(teacher_BU))
    loss_BU = jnp.where(live_BU, chunk_loss(student_BU, teacher_BU), 0.0)
    return jnp.sum(loss_BU), jnp.sum(live_BU, dtype=jnp.float32)


def _next_numbers(tokens: Tokens) -> jax.Array:
    """The chunk of the token that each position predicts.

    Raises:
        ValueError: the rows hold no chunks.
    """
    if tokens.chunks_BT is None:
        raise ValueError("the batch holds no chunks")
    # The number of a row's first token comes round to the end, which predicts nothing: its chunk is
    # then not live.
    return jnp.roll(tokens.chunks_BT, -1, axis=1)


def _sum_by_number(y_BT: jax.Array, number_BT: jax.Array, U: int) -> jax.Array:
    total = jax.vmap(lambda y_T, number_T: jax.ops.segment_sum(y_T, number_T, U + 1))
    return total(y_BT, number_BT)[:, 1:]


def _live(mask_BT: jax.Array, number_BT: jax.Array, U: int) -> jax.Array:
    # All tokens of a chunk or none: with one missing, the sum would be another text's probability.
    tokens_BU = _sum_by_number(jnp.ones_like(number_BT), number_BT, U)
    predicted_BU = _sum_by_number(mask_BT.astype(jnp.int32), number_BT, U)
    return (tokens_BU > 0) & (tokens_BU == predicted_BU)
