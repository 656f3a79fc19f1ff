"""Log-probabilities and hidden states of aligned chunks against loops in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.objectives import States, Tokens
from duomem_jax.objectives.aligned.chunks import (
    chunk_logprobs,
    states_before_chunks,
    sum_over_chunks,
)

B, T, D, V, U = 2, 14, 8, 21, 6


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, T, D)).astype(np.float32)
    head = rng.normal(size=(D, V)).astype(np.float32)
    ids = rng.integers(0, V, (B, T)).astype(np.int32)
    reply = [[0, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0], [0] + [1] * 4 + [0] * 9]
    chunks = [[0, 0, 1, 1, 2, 0, 3, 3, 4, 4, 0, 0, 0, 0], [0, 1, 1, 1, 0, 3] + [0] * 8]
    tokens = Tokens(
        ids_BT=ids,
        segments_BT=np.array([[1] * 8 + [2] * 4 + [0] * 2, [1] * 14], np.int32),
        positions_BT=np.zeros_like(ids),
        reply_BT=np.array(reply) > 0,
        chunks_BT=np.array(chunks, np.int32),
    )
    return x, head, tokens


def log_softmax(x, head):
    logits = x.astype(np.float64) @ head
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def test_sums_over_the_tokens_of_each_chunk(case):
    x, head, tokens = case

    def logprobs(x, head):
        return chunk_logprobs(States(x, lambda y: y @ head), tokens, U)

    logp, live = jax.jit(logprobs)(x, head)
    # Row 0: chunk 4 begins its segment, so its first token is not predicted. Row 1: chunk 3 carries
    # no loss, and 2 is absent.
    np.testing.assert_array_equal(live, [[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    every = log_softmax(x, head)
    for b, n in zip(*np.nonzero(live), strict=True):
        places = np.flatnonzero(tokens.chunks_BT[b] == n + 1)
        want = sum(every[b, t - 1, tokens.ids_BT[b, t]] for t in places)
        np.testing.assert_allclose(logp[b, n], want, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(logp)[1, 1:], 0)


def test_states_are_those_before_each_chunk(case):
    x, _, tokens = case
    states, live = jax.jit(lambda x: states_before_chunks(x, tokens, U))(x)
    assert states.shape == (B, U, D)
    np.testing.assert_array_equal(live, [[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(states[0, :3], x[0, [1, 3, 5]])
    np.testing.assert_array_equal(states[1, 0], x[1, 0])


def test_gradients_reach_only_the_tokens_of_live_chunks(case):
    x, head, tokens = case

    def total(x):
        logp, live = chunk_logprobs(States(x, lambda y: y @ head), tokens, U)
        return sum_over_chunks(lambda s, t: s - t, logp, jnp.zeros((B, U)), live)[0]

    reached = np.abs(jax.jit(jax.grad(total))(x)).sum(-1) > 0
    assert {(b, t) for b, t in np.argwhere(reached)} == {
        *((0, t) for t in (1, 2, 3, 5, 6)),
        *((1, t) for t in (0, 1, 2)),
    }


def test_chunks_that_are_not_live_do_not_count_even_if_nan():
    live = jnp.array([[1, 0, 0]])
    teacher = jnp.array([[-2.0, jnp.nan, jnp.inf]])

    def total(student):
        return sum_over_chunks(lambda s, t: jnp.log(-s) * t, student, teacher, live)

    student = np.float32([[-3.0, 0, np.nan]])
    (loss, weight), grad = jax.jit(jax.value_and_grad(total, has_aux=True))(student)
    assert weight == 1
    np.testing.assert_allclose(loss, np.log(3) * -2, rtol=1e-6)
    np.testing.assert_allclose(grad, [[2 / 3, 0, 0]], rtol=1e-6)


def test_the_teacher_gets_no_gradient_and_probabilities_stay_below_one():
    live = jnp.ones((1, 1))
    one = jnp.full((1, 1), 1e-7)
    loss, grad = jax.value_and_grad(lambda t: sum_over_chunks(jnp.multiply, -one, t, live)[0])(one)
    assert loss == 0
    assert grad == 0
