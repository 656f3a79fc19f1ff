"""Reverse CALM against numpy, and the caution of its docstring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.objectives.aligned.alm import alm_loss
from duomem_jax.objectives.aligned.reverse_calm import reverse_calm_loss

RNG = np.random.default_rng(0)
STUDENT, TEACHER = (-RNG.exponential(3, (2, 12)).astype(np.float32) for _ in range(2))
LIVE = RNG.random((2, 12)) < 0.7


def loss_of(student, teacher=TEACHER, live=LIVE, **more):
    return reverse_calm_loss(jnp.asarray(student), jnp.asarray(teacher), live, **more)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_equals_numpy_with_gradients(temperature):
    s, t = (np.exp(y.astype(np.float64) / temperature) for y in (STUDENT, TEACHER))
    (loss, weight), grad = jax.jit(
        jax.value_and_grad(lambda y: loss_of(y, temperature=temperature), has_aux=True)
    )(STUDENT)
    each = -(s * np.log(t) + (1 - s) * np.log(1 - t))
    assert weight == LIVE.sum()
    np.testing.assert_allclose(loss, each[LIVE].sum(), rtol=1e-5)
    want = s / temperature * np.log((1 - t) / t) * LIVE
    np.testing.assert_allclose(grad, want, rtol=1e-3, atol=1e-5)


def test_sure_and_hopeless_chunks_stay_finite():
    ends = np.float32([[0, -1e-9, -1e4]])
    both = jax.jit(jax.value_and_grad(lambda y, t: loss_of(y, t, ends <= 0)[0]))
    for teacher in (ends, ends[:, ::-1]):
        value, grad = both(ends, teacher)
        assert np.isfinite(value)
        assert np.isfinite(grad).all()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_turns_from_what_the_teacher_gives_less_than_a_half(temperature):
    """The gradient's sign is that of 1/2 - t, wherever the student is: no divergence does that."""

    def slopes(student, teacher, loss=reverse_calm_loss, **more):
        student, teacher = (np.float32([y]) for y in (student, teacher))
        live = np.ones(student.shape, bool)
        total = lambda y: loss(y, teacher, live, temperature=temperature, **more)[0]  # noqa: E731
        return jax.jit(jax.grad(total))(student)[0]

    edge = temperature * np.log(0.5)  # log-probability at which t = 1/2
    student = [-0.01, -1.0, -6.0]
    assert np.all(slopes(student, [edge - 0.05] * 3) > 0)  # less likely still, even when s < t
    assert np.all(slopes(student, [edge + 0.05] * 3) < 0)  # likelier still, even when s > t
    np.testing.assert_allclose(slopes(student, [edge] * 3), 0, atol=1e-6)
    # Where student and teacher agree it does not rest; a divergence does.
    assert np.abs(slopes(student, student)).min() > 1e-3 / temperature
    rest = slopes(student, student, alm_loss, divergence="reverse_binary_kl")
    np.testing.assert_allclose(rest, 0, atol=1e-5)


def test_is_linear_in_the_students_probability():
    one = np.ones((1, 1), bool)
    teacher = np.float32([[-3.0]])
    s = np.array([0.2, 0.5, 0.8])
    values = [float(loss_of(np.float32([[2 * np.log(p)]]), teacher, one)[0]) for p in s]
    np.testing.assert_allclose(values[1] - values[0], values[2] - values[1], rtol=1e-4)
