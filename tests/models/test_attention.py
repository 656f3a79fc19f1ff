"""Block attention and its backward pass against a dense softmax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.models import attention
from duomem_jax.models.scores import ScoreRule

B, N, K, H = 3, 4, 2, 8


PLAIN = ScoreRule(H**-0.5)
GEMMA = ScoreRule(0.5, softcap=2.0, window=70)


def dense(rule, q, k, v, segments):
    k, v = (jnp.repeat(x, N // K, axis=2) for x in (k, v))
    s = jnp.einsum("btnh,bsnh->bnts", q, k) * rule.scale
    s = rule.softcap * jnp.tanh(s / rule.softcap) if rule.softcap else s
    T = q.shape[1]
    mask = np.tri(T, dtype=bool) & ~np.tri(T, k=-(rule.window or T), dtype=bool)
    mask = mask & (segments[:, :, None] == segments[:, None])
    return jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(jnp.where(mask[:, None], s, -1e9)), v)


def make(T, cuts):
    rng = np.random.default_rng(0)
    q, k, v, weight = (
        rng.normal(size=(B, T, heads, H)).astype(np.float32) for heads in (N, K, K, N)
    )
    segments = np.stack([np.searchsorted(np.array(c), np.arange(T), side="right") for c in cuts])
    segments = np.where(segments == len(cuts[0]), 0, segments + 1)  # the last run is padding
    return q, k, v, segments.astype(np.uint8), weight


@pytest.mark.parametrize(
    ("rows", "rule"), [("one by one", PLAIN), ("together", PLAIN), ("one by one", GEMMA)]
)
@pytest.mark.parametrize(
    ("T", "cuts"),
    [
        (5, [(5, 5), (2, 4), (1, 1)]),  # less than a block
        (192, [(192, 192), (64, 128), (63, 129)]),  # on and off block borders
        (150, [(10, 150), (90, 91), (149, 150)]),  # not a multiple of the block
    ],
)
def test_packed_attention_equals_dense_softmax_with_gradients(T, cuts, rows, rule, monkeypatch):
    if rows == "together":
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        monkeypatch.setattr(attention, "ACCELERATOR_BLOCK", 64)
    q, k, v, segments, weight = make(T, cuts)

    def loss(attend, q, k, v):
        o = attend(rule, q, k, v, segments)
        return jnp.sum(o * weight), o

    (_, want), want_grads = jax.value_and_grad(
        lambda *a: loss(dense, *a), argnums=(0, 1, 2), has_aux=True
    )(q, k, v)
    (_, got), grads = jax.jit(
        jax.value_and_grad(
            lambda *a: loss(attention.packed_attention, *a), argnums=(0, 1, 2), has_aux=True
        )
    )(q, k, v)
    np.testing.assert_allclose(got, want, atol=1e-5)
    for a, b in zip(grads, want_grads, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-5)
