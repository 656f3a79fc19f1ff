"""Likelihood matching against numpy in float64, its limit, and where it is least."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.objectives import States, Tokens
from duomem_jax.objectives.aligned.alm import DIVERGENCES, alm_loss
from duomem_jax.objectives.aligned.chunks import chunk_logprobs

LOGP = np.array([-1e-5, -1e-3, -0.1, -0.6, -0.8, -3.0, -20.0, -300.0])
STUDENT, TEACHER = (y[None] for y in np.meshgrid(LOGP, LOGP))  # [1, 8, 8]
STUDENT, TEACHER = STUDENT.reshape(1, -1), TEACHER.reshape(1, -1)


def scaled(logp, temperature):
    return logp / temperature - 1e-6


def cross_entropy(s, t, temperature):
    s, t = scaled(s, temperature), scaled(t, temperature)
    return -(np.exp(t) * s - np.expm1(t) * np.log(-np.expm1(s)))


def reverse_kl(s, t, temperature):
    s, t = scaled(s, temperature), scaled(t, temperature)
    return np.exp(s) * (s - t) - np.expm1(s) * np.log(np.expm1(s) / np.expm1(t))


def limit(s, t, _=None):
    s, t = scaled(s, 1), scaled(t, 1)
    return (t - s) + t * np.log(-s) - t * np.log(-t)


REFERENCES = {
    "binary_cross_entropy": cross_entropy,
    "reverse_binary_kl": reverse_kl,
    "binary_kl_limit": limit,
}


def gradient(f, s, t, temperature):
    """Central differences in float64."""
    h = -s * 1e-5
    return (f(s + h, t, temperature) - f(s - h, t, temperature)) / (2 * h)


def values_and_grads(divergence, student, teacher, temperature):
    """Of each pair alone, checked to be what `alm_loss` sums up."""

    @jax.jit
    def both(student, teacher):
        def one(s, t):
            return DIVERGENCES[divergence](s, t, temperature)

        def total(student):
            live = jnp.ones(student.shape, bool)
            return alm_loss(student, teacher, live, temperature=temperature, divergence=divergence)[
                0
            ]

        each = jax.vmap(jax.vmap(jax.value_and_grad(one)))(student, teacher)
        return each, jax.value_and_grad(total)(student)

    (values, grads), (whole, whole_grads) = both(jnp.float32(student), jnp.float32(teacher))
    np.testing.assert_allclose(whole, values.sum(), rtol=1e-5)
    np.testing.assert_allclose(whole_grads, grads, rtol=1e-5)
    return values, grads


@pytest.mark.parametrize("temperature", [1.0, 5.0, 100.0])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_equals_numpy_with_gradients(divergence, temperature):
    f = REFERENCES[divergence]
    values, grads = values_and_grads(divergence, STUDENT, TEACHER, temperature)
    np.testing.assert_allclose(values, f(STUDENT, TEACHER, temperature), rtol=2e-3, atol=2e-5)
    want = gradient(f, STUDENT, TEACHER, temperature)
    np.testing.assert_allclose(grads, want, rtol=2e-2, atol=2e-5)


@pytest.mark.parametrize("temperature", [1.0, 100.0])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_is_least_where_the_student_is_the_teacher(divergence, temperature):
    _, grads = values_and_grads(divergence, LOGP[None], LOGP[None], temperature)
    assert np.abs(grads).max() < 1e-4 / temperature
    f = REFERENCES[divergence]
    at_least = f(TEACHER, TEACHER, temperature)
    assert np.all(f(STUDENT, TEACHER, temperature) >= at_least - 1e-12)
    if divergence != "binary_cross_entropy":
        np.testing.assert_allclose(at_least, 0, atol=1e-12)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_loss_and_gradient_are_finite_at_certain_and_impossible_chunks(divergence):
    ends = np.array([0.0, -1e-9, -1e-4, -1e4])
    student, teacher = (y.reshape(1, -1) for y in np.meshgrid(ends, ends))
    for temperature in (1.0, 100.0):
        for y in values_and_grads(divergence, student, teacher, temperature):
            assert np.isfinite(y).all()


def test_the_limit_equals_a_very_large_temperature():
    """Of temperature * (cross-entropy - the teacher's own), in float64 and without the epsilon."""
    s, t = STUDENT, TEACHER
    temperature = 1e6
    shift = 1e-6 * temperature  # undoes `scaled`
    kl = cross_entropy(s + shift, t + shift, temperature) - cross_entropy(
        t + shift, t + shift, temperature
    )
    np.testing.assert_allclose(temperature * kl, limit(s + 1e-6, t + 1e-6), rtol=1e-2, atol=1e-3)


def test_only_chunks_of_both_sides_count():
    live = np.array([[True, False, True]])
    student = np.float32([[-1.0, -2.0, -3.0]])
    teacher = np.float32([[-2.0, np.nan, -1.0]])
    loss, weight = jax.jit(lambda *a: alm_loss(*a, temperature=2.0))(student, teacher, live)
    assert weight == 2
    want = cross_entropy(-1.0, -2.0, 2) + cross_entropy(-3.0, -1.0, 2)
    np.testing.assert_allclose(loss, want, rtol=1e-5)


# A row of a student and of a teacher, with the same text in 4 chunks.
STUDENT_CHUNKS = np.array([[0, 0, 1, 1, 2, 3, 3, 4, 0, 0]])
TEACHER_CHUNKS = np.array([[0, 1, 2, 2, 2, 3, 4, 0]])


def view(chunks, V, seed):
    ids = np.random.default_rng(seed).integers(0, V, chunks.shape)
    return Tokens(ids, np.ones_like(chunks), np.zeros_like(chunks), chunks > 0, chunks)


def models(seed, T, V, D=8):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, T, D)).astype(np.float32), rng.normal(size=(D, V)).astype(np.float32)


def test_two_vocabularies_end_to_end():
    x, head = models(0, 10, 17)
    teacher_x, teacher_head = models(1, 8, 29)
    student, teacher = view(STUDENT_CHUNKS, 17, 2), view(TEACHER_CHUNKS, 29, 3)

    def loss(x, head):
        teacher_BU, has = chunk_logprobs(States(teacher_x, lambda y: y @ teacher_head), teacher, 8)
        student_BU, live = chunk_logprobs(States(x, lambda y: y @ head), student, 8)
        return alm_loss(student_BU, teacher_BU, live & has, temperature=3.0)

    def reference(x, head):
        def sums(x, head, view):
            logp = jax.nn.log_softmax(x @ head)[0]
            tokens, chunks = view.ids_BT[0], view.chunks_BT[0]
            return [
                sum(logp[t - 1, tokens[t]] for t in np.flatnonzero(chunks == n))
                for n in range(1, 5)
            ]

        ours, theirs = sums(x, head, student), sums(teacher_x, teacher_head, teacher)
        total = 0.0
        for s, t in zip(ours, theirs, strict=True):
            p, q = jnp.exp(t / 3.0), jnp.exp(s / 3.0)
            total -= p * jnp.log(q) + (1 - p) * jnp.log(1 - q)
        return total

    (value, weight), grads = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(x, head)
    want, want_grads = jax.jit(jax.value_and_grad(reference, (0, 1)))(x, head)
    assert weight == 4
    np.testing.assert_allclose(value, want, rtol=1e-4)
    for got, expected in zip(grads, want_grads, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-4)


def test_equal_tokenisations_at_temperature_one_match_token_by_token():
    chunks = np.array([[0, 0, 1, 2, 3, 4, 5, 0]])
    x, head = models(0, 8, 17)
    other_x, other_head = models(1, 8, 17)
    batch = view(chunks, 17, 2)

    @jax.jit
    def loss_of(x, head, other_x, other_head):
        teacher_BU, _ = chunk_logprobs(States(other_x, lambda y: y @ other_head), batch, 8)
        student_BU, live = chunk_logprobs(States(x, lambda y: y @ head), batch, 8)
        return alm_loss(student_BU, teacher_BU, live, temperature=1.0)

    loss, weight = loss_of(x, head, other_x, other_head)

    def p(x, head):
        logits = (x @ head)[0].astype(np.float64)
        every = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        return np.array([every[t - 1, batch.ids_BT[0, t]] for t in range(2, 7)])

    s, t = p(x, head), p(other_x, other_head)
    assert weight == 5
    np.testing.assert_allclose(loss, -np.sum(t * np.log(s) + (1 - t) * np.log(1 - s)), rtol=1e-4)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_gradient_is_zero_where_teacher_and_student_are_equal(divergence):
    x, head = models(0, 10, 17)
    batch = view(STUDENT_CHUNKS, 17, 2)

    @jax.jit
    @jax.grad
    def gradient(x, teacher_x):
        teacher_BU, _ = chunk_logprobs(States(teacher_x, lambda y: y @ head), batch, 8)
        student_BU, live = chunk_logprobs(States(x, lambda y: y @ head), batch, 8)
        return alm_loss(student_BU, teacher_BU, live, temperature=1.0, divergence=divergence)[0]

    assert np.abs(gradient(x, x)).max() < 1e-5
    assert np.abs(gradient(x * 1.1, x)).max() > 1e-3
