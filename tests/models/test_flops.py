"""Counted operations against XLA's own count of the same function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.flops import Load, forward_flops, load_of, train_flops
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model

TINY = ModelConfig("qwen3", 64, 32, 2, 4, 2, 8, 48, max_len=64)
T = 32


def test_forward_flops_equal_what_xla_counts_of_plain_products():
    """Written out with every score, of which a causal model needs the half."""
    D, F, N, K, H, V, L = 32, 48, 4, 2, 8, 64, 2

    def forward(x, w_q, w_k, w_v, w_o, w_f, w_g, w_d, head):
        for _ in range(L):
            q, k, v = x @ w_q, x @ w_k, x @ w_v
            q, k, v = q.reshape(T, N, H), *(y.reshape(T, K, H) for y in (k, v))
            k, v = jnp.repeat(k, N // K, 1), jnp.repeat(v, N // K, 1)
            scores = jnp.einsum("tnh,snh->nts", q, k)
            x = x + jnp.einsum("nts,snh->tnh", scores, v).reshape(T, N * H) @ w_o
            x = x + ((x @ w_f) * (x @ w_g)) @ w_d
        return x @ head

    kv, up = (D, K * H), (D, F)
    shapes = [(T, D), (D, N * H), kv, kv, (N * H, D), up, up, (F, D), (D, V)]
    rows = [jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes]
    counted = jax.jit(forward).lower(*rows).compile().cost_analysis()["flops"]
    ours = forward_flops(Model(TINY), Load(T, L * T * T, T))
    assert ours == pytest.approx(counted, rel=0.05)  # norms there, sums here


def test_load_of_counts_by_segment_and_omits_padding():
    segments = np.array([[1] * 10 + [2] * 20 + [0] * 2])
    positions = np.array([[*range(10), *range(20), 0, 1]])
    load = load_of(Model(TINY), jnp.asarray(positions), jnp.asarray(segments), 7.0)
    assert (load.tokens, load.scored) == (30, 7.0)
    assert load.pairs == 2 * (10 * 11 / 2 + 20 * 21 / 2)


def test_load_of_counts_pairs_within_the_window_only():
    near = ModelConfig(
        "gemma2", 64, 32, 2, 4, 2, 8, 48, max_len=64, sliding=(True, False), window=4
    )
    load = load_of(Model(near), jnp.arange(8)[None], jnp.ones((1, 8), jnp.int32), 0.0)
    assert load.pairs == (1 + 2 + 3 + 4 * 5) + 8 * 9 / 2


def test_train_flops_are_three_passes_or_two_and_the_adapter():
    load = Load(T, 0, T)
    whole, forward = train_flops(Model(TINY), load), forward_flops(Model(TINY), load)
    assert whole == 3 * forward
    adapted = Model(TINY, LoraConfig(rank=2, alpha=4.0, targets=("q_proj",)))
    assert train_flops(adapted, load) == 2 * forward + 6 * T * 2 * (32 * 2 + 2 * 32)
