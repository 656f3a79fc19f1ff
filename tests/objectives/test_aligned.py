"""Log-probabilities and hidden states of aligned chunks against loops in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.objectives.aligned import chunk_logprobs, states_before_chunks, sum_over_chunks

B, T, D, V, N = 2, 14, 8, 21, 6


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, T, D)).astype(np.float32)
    head = rng.normal(size=(D, V)).astype(np.float32)
    view = {
        "tokens": rng.integers(0, V, (B, T)).astype(np.int32),
        "segment_ids": np.array([[1] * 8 + [2] * 4 + [0] * 2, [1] * 14], np.uint8),
        "loss_mask": np.array(
            [[0, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0], [0] + [1] * 4 + [0] * 9], np.uint8
        ),
        "chunks": np.array(
            [[0, 0, 1, 1, 2, 0, 3, 3, 4, 4, 0, 0, 0, 0], [0, 1, 1, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]]
        ).astype(np.uint16),
    }
    return x, head, view


def log_softmax(x, head):
    logits = x.astype(np.float64) @ head
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def test_sums_over_the_tokens_of_each_chunk(case):
    x, head, view = case
    logp, live = jax.jit(lambda x, head: chunk_logprobs(x, lambda y: y @ head, view, N))(x, head)
    # Row 0: chunk 4 begins its segment, so its first token is not predicted. Row 1: chunk 3 carries
    # no loss, and 2 is absent.
    np.testing.assert_array_equal(live, [[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    every = log_softmax(x, head)
    for b, n in zip(*np.nonzero(live), strict=True):
        places = np.flatnonzero(view["chunks"][b] == n + 1)
        want = sum(every[b, t - 1, view["tokens"][b, t]] for t in places)
        np.testing.assert_allclose(logp[b, n], want, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(logp)[1, 1:], 0)


def test_states_are_those_before_each_chunk(case):
    x, _, view = case
    states, live = jax.jit(lambda x: states_before_chunks(x, view, N))(x)
    assert states.shape == (B, N, D)
    np.testing.assert_array_equal(live, [[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(states[0, :3], x[0, [1, 3, 5]])
    np.testing.assert_array_equal(states[1, 0], x[1, 0])


def test_gradients_reach_only_the_tokens_of_live_chunks(case):
    x, head, view = case

    def total(x):
        logp, live = chunk_logprobs(x, lambda y: y @ head, view, N)
        return sum_over_chunks(lambda s, t: s - t, logp, jnp.zeros((B, N)), live)[0]

    reached = np.abs(jax.jit(jax.grad(total))(x)).sum(-1) > 0
    assert {(b, t) for b, t in np.argwhere(reached)} == {
        *((0, t) for t in (1, 2, 3, 5, 6)),
        *((1, t) for t in (0, 1, 2)),
    }


def test_what_is_not_live_may_be_anything():
    live = jnp.array([[1, 0, 0]])
    teacher = jnp.array([[-2.0, jnp.nan, jnp.inf]])

    def total(student):
        return sum_over_chunks(lambda s, t: jnp.log(-s) * t, student, teacher, live)

    student = np.float32([[-3.0, 0, np.nan]])
    (loss, weight), grad = jax.jit(jax.value_and_grad(total, has_aux=True))(student)
    assert weight == 1
    np.testing.assert_allclose(loss, np.log(3) * -2, rtol=1e-6)
    np.testing.assert_allclose(grad, [[2 / 3, 0, 0]], rtol=1e-6)


def test_the_teacher_is_a_constant_and_nothing_is_more_than_sure():
    live = jnp.ones((1, 1))
    one = jnp.full((1, 1), 1e-7)
    loss, grad = jax.value_and_grad(lambda t: sum_over_chunks(jnp.multiply, -one, t, live)[0])(one)
    assert loss == 0
    assert grad == 0
