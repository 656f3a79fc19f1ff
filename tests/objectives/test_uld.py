"""Distance of sorted probabilities against numpy, for vocabularies of two sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from duomem_jax.objectives import fused
from duomem_jax.objectives.aligned.uld import uld_loss

B, N = 2, 11


def case(V, teacher_V, D=6, teacher_D=9, seed=0):
    rng = np.random.default_rng(seed)
    x, teacher_x = (rng.normal(size=(B, N, d)).astype(np.float32) for d in (D, teacher_D))
    head = rng.normal(size=(D, V)).astype(np.float32)
    teacher_head = rng.normal(size=(teacher_D, teacher_V)).astype(np.float32)
    return x, head, teacher_x, teacher_head, rng.random((B, N)) < 0.6


@jax.jit
def loss_of(x, head, teacher_x, teacher_head, live):
    return uld_loss(x, lambda y: y @ head, teacher_x, lambda y: y @ teacher_head, live)


def sorted_p(x, head):
    logits = x.astype(np.float64) @ head
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return -np.sort(-p / p.sum(-1, keepdims=True))


@pytest.mark.parametrize("sizes", [(13, 20), (20, 13), (13, 13)])
@pytest.mark.parametrize("chunk", [4, 11])
def test_equals_numpy(sizes, chunk, monkeypatch):
    monkeypatch.setattr(fused, "MIN_CHUNK", chunk)
    monkeypatch.setattr(fused, "MAX_CHUNK", chunk)
    x, head, teacher_x, teacher_head, live = case(*sizes)
    loss, weight = loss_of(x, head, teacher_x, teacher_head, live)
    s, t = sorted_p(x, head), sorted_p(teacher_x, teacher_head)
    want = 0.0
    for b, n in np.argwhere(live):
        for i in range(max(sizes)):  # words beyond a vocabulary have no probability
            ours, theirs = (p[b, n, i] if i < p.shape[-1] else 0.0 for p in (s, t))
            want += abs(ours - theirs)
    assert weight == live.sum()
    np.testing.assert_allclose(loss, want, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(13, 20), (20, 13)])
def test_gradients_are_those_of_finite_differences(sizes):
    x, head, *rest = case(*sizes)
    check_grads(
        lambda x, head: loss_of(x, head, *rest)[0], (x, head), order=1, modes=["rev"], rtol=2e-2
    )


def test_the_names_of_words_do_not_matter():
    """A student that gives the teacher's probabilities to other words is already at the least."""
    x, head, *_, live = case(13, 13)
    shuffled = np.random.default_rng(1).permutation(13)
    never = np.full((1, 7), -1e9, np.float32)  # words that the student does not have
    teacher_x = np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)
    teacher_head = np.block([[head[:, shuffled], np.zeros((6, 7))], [np.zeros((1, 13)), never]])

    def loss(x):
        return loss_of(x, head, teacher_x, teacher_head.astype(np.float32), live)[0]

    assert loss(x) < 1e-5
    assert np.isfinite(jax.jit(jax.grad(loss))(x)).all()
    assert loss(0.5 * x) > 0.1


def test_equal_models_move_nothing_and_the_teacher_is_a_constant():
    x, head, *_, live = case(13, 13)
    grads = jax.jit(jax.grad(lambda *a: loss_of(*a, live)[0], (0, 1, 2, 3)))(x, head, x, head)
    for g in grads:
        np.testing.assert_allclose(g, 0, atol=1e-6)
    x, head, teacher_x, teacher_head, live = case(13, 20)
    grads = jax.jit(jax.grad(lambda *a: loss_of(*a, live)[0], (0, 1, 2, 3)))(
        x, head, teacher_x, teacher_head
    )
    assert [bool(np.any(g)) for g in grads] == [True, True, False, False]


def test_memory_does_not_grow_with_chunks_times_words(monkeypatch):
    monkeypatch.setattr(fused, "MIN_CHUNK", 32)
    monkeypatch.setattr(fused, "MAX_CHUNK", 32)

    def temporaries(N):
        shapes = [(1, N, 8), (8, 1024), (1, N, 8), (8, 2048), (1, N)]
        args = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        grad = jax.jit(jax.grad(lambda *a: loss_of(*a)[0]))
        return grad.lower(*args).compile().memory_analysis().temp_size_in_bytes

    states = (2048 - 256) * 8 * 4
    all_logits = (2048 - 256) * 1024 * 4
    assert temporaries(2048) - temporaries(256) < 10 * states < all_logits / 10
