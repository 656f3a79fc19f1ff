"""Log-probabilities by chunks of tokens against those of full logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from duomem_jax.objectives import fused
from duomem_jax.objectives.logprobs import token_logprobs

B, T, D, V = 3, 50, 16, 37


def plain(x, head, targets, mask):
    logits = x @ head
    logits = logits - jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    return jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0] * mask


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, T, D)).astype(np.float32)
    head = rng.normal(size=(D, V)).astype(np.float32)
    mask = (rng.random((B, T)) < 0.4).astype(np.uint8)
    mask[1] = 0  # a row without loss
    g = rng.normal(size=(B, T)).astype(np.float32)
    return x, head, rng.integers(0, V, (B, T)), mask, g


def set_chunk(monkeypatch, chunk):
    monkeypatch.setattr(fused, "MIN_CHUNK", chunk)
    monkeypatch.setattr(fused, "MAX_CHUNK", chunk)


@pytest.mark.parametrize("chunk", [7, 50])
@pytest.mark.parametrize("argnums", [0, (0, 1)])  # a frozen head, and a trained one
def test_equals_full_logits_with_gradients(inputs, chunk, argnums, monkeypatch):
    set_chunk(monkeypatch, chunk)
    x, head, targets, mask, g = inputs

    def weighted(logprobs):
        return lambda x, head: jnp.sum(g * logprobs(x, head))

    def ours(x, head):
        return token_logprobs(x, lambda y: y @ head, targets, mask)

    def want(x, head):
        return plain(x, head, targets, mask)

    np.testing.assert_allclose(jax.jit(ours)(x, head), want(x, head), atol=1e-5)
    grads, expected = (jax.jit(jax.grad(weighted(f), argnums))(x, head) for f in (ours, want))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), grads, expected)


def test_gradients_are_those_of_finite_differences(inputs):
    x, head, targets, mask, _ = inputs
    x, targets, mask = x[:, :6], targets[:, :6], mask[:, :6]

    @jax.jit
    def f(x, head):
        return token_logprobs(x, lambda y: jnp.tanh(y) @ head, targets, mask)

    check_grads(f, (x, head), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


def test_bfloat16_states_give_float32_logprobs_and_bfloat16_gradients():
    x = jnp.ones((1, 40, 8), jnp.bfloat16)
    ids, mask = jnp.zeros((1, 40), int), jnp.ones((1, 40))

    def head(x):
        return (x @ jnp.zeros((8, 16), x.dtype)).astype(jnp.float32)

    @jax.jit
    def both(x):
        logp, vjp = jax.vjp(lambda x: token_logprobs(x, head, ids, mask), x)
        return logp, vjp(logp)[0]

    logp, dx = both(x)
    assert logp.dtype == jnp.float32
    np.testing.assert_allclose(logp, -np.log(16), rtol=1e-6)
    assert dx.dtype == jnp.bfloat16


def temporaries(T, V, *, trained=False, D=16):
    """Bytes of the loss and its gradients, for two rows of T tokens."""

    def loss(x, head, targets, mask, g):
        return jnp.sum(g * token_logprobs(x, lambda y: y @ head, targets, mask))

    shapes = [(2, T, D), (D, V), (2, T), (2, T), (2, T)]
    kinds = [jnp.float32, jnp.float32, jnp.int32, jnp.int32, jnp.float32]
    args = [jax.ShapeDtypeStruct(s, k) for s, k in zip(shapes, kinds, strict=True)]
    compiled = jax.jit(jax.grad(loss, (0, 1) if trained else 0)).lower(*args).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("trained", [False, True])
def test_memory_does_not_grow_with_tokens_times_words(trained, monkeypatch):
    set_chunk(monkeypatch, 64)
    few, many = (temporaries(T, 2048, trained=trained) for T in (512, 4096))
    states = 2 * (4096 - 512) * 16 * 4
    assert many - few < 10 * states < 2 * (4096 - 512) * 2048 * 4 / 10
    if not trained:
        chunk_and_head = (2 * 64 + 16) * 2048 * 4
        assert temporaries(4096, 4096) - many < 6 * chunk_and_head


def test_keeps_no_copies_of_the_head(monkeypatch):
    set_chunk(monkeypatch, 64)
    head_bytes, chunk_bytes = 256 * 8192 * 4, 2 * 64 * 8192 * 4
    states = 2 * 512 * 256 * 4
    assert temporaries(512, 8192, D=256) < head_bytes + 6 * chunk_bytes + 6 * states
