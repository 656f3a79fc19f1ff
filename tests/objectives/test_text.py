"""The chunked loss against the plain one on full logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.objectives import chunked
from duomem_jax.objectives.text import next_tokens, text_loss

B, T, D, V = 3, 50, 16, 37


def plain_loss(x, head, targets, mask):
    logits = x @ head
    logits = logits - jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    picked = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return -jnp.sum(picked * mask)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, T, D)).astype(np.float32)
    head = rng.normal(size=(D, V)).astype(np.float32)
    mask = (rng.random((B, T)) < 0.4).astype(np.uint8)
    mask[1] = 0  # a row without loss
    return x, head, rng.integers(0, V, (B, T)), mask


@pytest.mark.parametrize("chunk", [16, 7, 50])
def test_equals_full_logits_with_gradients(inputs, chunk, monkeypatch):
    monkeypatch.setattr(chunked, "MIN_CHUNK", chunk)
    monkeypatch.setattr(chunked, "MAX_CHUNK", chunk)
    x, head, targets, mask = inputs
    (loss, weight), grads = jax.value_and_grad(
        lambda x, head: text_loss(x, lambda y: y @ head, targets, mask),
        argnums=(0, 1),
        has_aux=True,
    )(x, head)
    want, want_grads = jax.value_and_grad(plain_loss, argnums=(0, 1))(x, head, targets, mask)
    assert weight == mask.sum()
    np.testing.assert_allclose(loss, want, rtol=1e-5)
    for got, expected in zip(grads, want_grads, strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5)


def test_never_holds_all_logits():
    big_v = 4096
    x = jax.ShapeDtypeStruct((4, 2048, 8), jnp.float32)
    head = jax.ShapeDtypeStruct((8, big_v), jnp.float32)
    ids = jax.ShapeDtypeStruct((4, 2048), jnp.int32)

    def loss(x, head, targets, mask):
        return text_loss(x, lambda y: y @ head, targets, mask)[0]

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(x, head, ids, ids).compile()
    all_logits = 4 * 2048 * big_v * 4
    assert compiled.memory_analysis().temp_size_in_bytes < all_logits / 2


def test_keeps_no_copies_of_the_head():
    """With a frozen head, nothing as large as all chunks' heads together may be stored."""
    x = jax.ShapeDtypeStruct((1, 512, 256), jnp.float32)
    head = jax.ShapeDtypeStruct((256, 8192), jnp.float32)
    ids = jax.ShapeDtypeStruct((1, 512), jnp.int32)

    def loss(x, head, targets, mask):
        return text_loss(x, lambda y: y @ head, targets, mask)[0]

    compiled = jax.jit(jax.grad(loss)).lower(x, head, ids, ids).compile()
    head_bytes, chunk_bytes = 256 * 8192 * 4, 128 * 8192 * 4
    assert compiled.memory_analysis().temp_size_in_bytes < head_bytes + 6 * chunk_bytes


def test_chunks_stay_useful_for_large_vocabularies_and_batches():
    assert chunked.chunk_length(1, 512, 151_936) == 171
    assert chunked.chunk_length(64, 2048, 151_936) == chunked.MIN_CHUNK
    assert chunked.chunk_length(16, 1024, 800) == chunked.MAX_CHUNK
    assert chunked.chunk_length(1, 260, 800) == 130
    assert chunked.chunk_length(2, 8, 800) == 8


def test_bfloat16_sums_in_float32():
    x = jnp.ones((1, 4096, 8), jnp.bfloat16)

    def head(x):
        return (x @ jnp.zeros((8, 16), x.dtype)).astype(jnp.float32)

    loss, _ = text_loss(x, head, jnp.zeros((1, 4096), int), jnp.ones((1, 4096)))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, 4096 * np.log(16), rtol=1e-6)


def test_targets_stay_inside_their_segment():
    batch = {
        "tokens": jnp.array([[5, 6, 7, 8, 9, 0]]),
        "segment_ids": jnp.array([[1, 1, 1, 2, 2, 0]]),
        "loss_mask": jnp.array([[1.0, 1, 1, 1, 1, 0]]),
    }
    targets, mask = next_tokens(batch)
    np.testing.assert_array_equal(targets[0, :5], [6, 7, 8, 9, 0])
    # token 8 starts a segment, so nothing predicts it; nothing follows 9
    np.testing.assert_array_equal(mask[0], [True, True, False, True, False, False])
