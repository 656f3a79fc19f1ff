"""The TPU kernel, interpreted, against the blocks that every backend compiles."""

import functools

import jax
import numpy as np
import pytest

from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import make_mesh, use_mesh
from duomem_jax.models.attention import packed_attention
from duomem_jax.models.scores import ScoreRule
from duomem_jax.models.splash import splash_attention

B, T, N, K, H = 2, 200, 4, 2, 16  # T is no multiple of the kernel's blocks


def inputs():
    rng = np.random.default_rng(0)
    q, k, v, weight = (rng.normal(size=(B, T, n, H)).astype(np.float32) for n in (N, K, K, N))
    segments = np.stack([np.searchsorted([90, 170], np.arange(T)) + 1, np.ones(T)])
    return (q, k, v), segments.astype(np.int32), weight


def value_and_grads(attention, rule):
    args, segments, weight = inputs()

    def loss(*qkv):
        out = attention(rule, *qkv, segments)
        return (out * weight).sum(), out

    (_, out), grads = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(*args)
    return out, *grads


@pytest.mark.parametrize("rule", [ScoreRule(0.25), ScoreRule(0.5, softcap=2.0, window=70)])
@pytest.mark.parametrize("mesh", [MeshConfig(data=1), MeshConfig(data=1, fsdp=2, tensor=4)])
def test_splash_attention_equals_packed_attention_with_gradients(rule, mesh):
    want = value_and_grads(packed_attention, rule)
    with use_mesh(make_mesh(mesh, B)):  # four devices share two key heads
        got = value_and_grads(functools.partial(splash_attention, interpret=True), rule)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
