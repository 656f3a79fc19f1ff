"""cuDNN's packed attention: what the kernel is told, and the kernel itself where there is a GPU."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duomem_jax.mesh.config import MeshConfig
from duomem_jax.mesh.sharding import make_mesh, use_mesh
from duomem_jax.models import cudnn
from duomem_jax.models.attention import looped_attention
from duomem_jax.models.scores import ScoreRule

B, T, N, K, H = 2, 256, 4, 2, 64
RULE = ScoreRule(H**-0.5)


def rows(cuts):
    """q, k, v and segments that end at the cuts of each row."""
    rng = np.random.default_rng(0)
    q, k, v = (jnp.asarray(rng.normal(size=(B, T, n, H)), jnp.float32) for n in (N, K, K))
    segments = np.stack([np.searchsorted(c, np.arange(T), side="right") for c in cuts])
    return (q, k, v), jnp.asarray(segments, jnp.int32)


def value_and_grads(attend, qkv):
    def loss(*qkv):
        o = attend(*qkv)
        return (o.astype(jnp.float32) * jnp.sin(jnp.arange(H))).sum(), o

    (_, o), grads = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(*qkv)
    return [np.asarray(x, np.float32) for x in (o, *grads)]


def test_segments_are_the_runs_of_equal_ids():
    ids = np.array([[5, 5, 2, 2, 2, 0], [3, 3, 3, 3, 3, 3], [1, 2, 3, 4, 5, 6]])
    found = cudnn.segments(jnp.asarray(ids), most=3)
    np.testing.assert_array_equal(found.starts_BM, [[0, 2, 5], [0, -1, -1], [0, 1, 2]])
    np.testing.assert_array_equal(found.lengths_BM, [[2, 3, 1], [6, -1, -1], [1, 1, 1]])
    np.testing.assert_array_equal(found.count_B, [3, 1, 6])


def dense(rule, q_BTNH, k_BTNH, v_BTNH, found):
    """What the kernel computes, from the same arguments."""
    places = jnp.arange(T)
    starts, lengths = found.starts_BM[..., None], found.lengths_BM[..., None]
    inside_BMT = (places >= starts) & (places < starts + lengths)
    mask_BTS = jnp.einsum("bmt,bms->bts", *[inside_BMT.astype(jnp.float32)] * 2) > 0
    s_BNTS = jnp.einsum("btnh,bsnh->bnts", q_BTNH, k_BTNH) * rule.scale
    s_BNTS = jnp.where((mask_BTS & np.tri(T, dtype=bool))[:, None], s_BNTS, -1e9)
    return jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(s_BNTS), v_BTNH)


@pytest.mark.parametrize(
    "cuts", [([100, 200], [256]), (range(256), [256])], ids=["few", "too many"]
)
@pytest.mark.parametrize("mesh", [MeshConfig(data=1), MeshConfig(data=1, fsdp=2, tensor=2)])
def test_what_the_kernel_is_told_says_which_keys_a_query_sees(cuts, mesh, monkeypatch):
    monkeypatch.setattr(cudnn, "_kernel", dense)
    qkv, segments = rows(cuts)
    want = value_and_grads(lambda *qkv: looped_attention(RULE, *qkv, segments), qkv)
    with use_mesh(make_mesh(mesh, B)):
        got = value_and_grads(
            lambda *qkv: cudnn.cudnn_attention(RULE, *qkv, segments, looped_attention), qkv
        )
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_this_version_of_jax_knows_what_the_kernel_is_told():
    from jax._src.cudnn.fused_attention_stablehlo import MaskType, dot_product_attention

    names = inspect.signature(dot_product_attention).parameters
    assert {"q_seqlen", "kv_seqlen", "q_offsets", "kv_offsets", "sliding_window_length"} <= {*names}
    assert MaskType.PADDING_CAUSAL


def test_only_a_gpu_that_knows_the_layout_is_asked(monkeypatch):
    (q, _, _), _ = rows(([256], [256]))
    half = q.astype(jnp.bfloat16)
    for capability, fits in ((0.0, False), (8.0, False), (9.0, True)):
        monkeypatch.setattr(cudnn, "_capability", lambda capability=capability: capability)
        assert cudnn.fits(RULE, half) == fits
    assert not cudnn.fits(RULE, q)  # float32
    assert not cudnn.fits(RULE._replace(softcap=50.0), half)


@pytest.mark.parametrize("window", [0, 70])
def test_the_kernel_computes_what_the_loops_do(window):
    rule = RULE._replace(window=window)
    qkv, segments = rows(([100, 200], [3, 256]))
    qkv = tuple(x.astype(jnp.bfloat16) for x in qkv)
    if not cudnn.fits(rule, qkv[0]):
        pytest.skip("needs an NVIDIA GPU, Hopper or later")
    want = value_and_grads(lambda *qkv: looped_attention(rule, *qkv, segments), qkv)
    got = value_and_grads(
        lambda *qkv: cudnn.cudnn_attention(rule, *qkv, segments, looped_attention), qkv
    )
    for a, b in zip(got, want, strict=True):
        assert np.linalg.norm(a - b) < 0.01 * np.linalg.norm(b)
