"""Causal attention over packed rows, block by block, with its own backward pass.

A block of queries meets only the key blocks from the start of its segment to itself, so the work
follows the length of the segments, not that of the row. Kept for the backward pass are the output
and one log-sum-exp per query; scores are computed again, keys first, so that no large transpose
is needed (Dao et al., FlashAttention, arXiv 2205.14135, in loops that every backend compiles).
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import dynamic_slice_in_dim as take
from jax.lax import dynamic_update_slice_in_dim as put

from duomem_jax.models.layers import keep
from duomem_jax.models.platform import on_one_cpu, platform
from duomem_jax.models.scores import Scores
from duomem_jax.models.splash import splash_attention

CPU_BLOCK, ACCELERATOR_BLOCK = 64, 512  # tokens; on a CPU a block's scores stay in the cache
WIDE = 512  # N*H from which on a CPU's blocks are twice as long: two threads share their products
MASKED = -1e30  # finite, so that a block with every key masked stays finite

_einsum = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)


def group_queries(q_BTNH: jax.Array, n_kv_heads: int, scale: float) -> jax.Array:
    """[B,T,N,H] -> [B,K,G,T,H], scaled: query heads beside the key head they share."""
    B, T, N, H = q_BTNH.shape
    q_BTKGH = q_BTNH.reshape(B, T, n_kv_heads, N // n_kv_heads, H) * scale
    return q_BTKGH.transpose(0, 2, 3, 1, 4)


def ungroup(o_BKGTH: jax.Array) -> jax.Array:
    """[B,K,G,T,H] -> [B,T,N,H]."""
    B, K, G, T, H = o_BKGTH.shape
    return o_BKGTH.transpose(0, 3, 1, 2, 4).reshape(B, T, K * G, H)


def _first_block(how: Scores, segment_ids_BT: jax.Array, i: Any, C: int) -> jax.Array:
    """The first key block that any query of block `i` can see, over all rows."""
    starts_B1 = take(segment_ids_BT, i * C, 1, 1)
    first = jnp.min(jnp.argmax(segment_ids_BT == starts_B1, axis=1))
    return (jnp.maximum(first, i * C - how.window + 1) if how.window else first) // C


def _sees(how: Scores, segment_ids_BT: jax.Array, i: Any, j: Any, C: int) -> jax.Array:
    """mask_BST of query block `i` and key block `j`: same segment, not later, not too early."""
    index_C = jnp.arange(C)
    back_ST = (i * C + index_C)[None, :] - (j * C + index_C)[:, None]
    queries, keys = (take(segment_ids_BT, n * C, C, 1) for n in (i, j))
    return how.sees(back_ST) & (keys[:, :, None] == queries[:, None, :])


def _forward(how: Scores, C: int, q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT):
    """(o_BKGTH, logsumexp_BKGT float32) with blocks of C tokens."""

    def query_block(i, done):
        q = take(q_BKGTH, i * C, C, 3)

        def key_block(j, running):
            top, total, o = running
            k, v = take(k_BKTH, j * C, C, 2), take(v_BKTH, j * C, C, 2)
            mask_BTS = _sees(how, segment_ids_BT, i, j, C).transpose(0, 2, 1)
            s = how.cap(_einsum("bkgth,bksh->bkgts", q, k))
            s = jnp.where(mask_BTS[:, None, None], s, MASKED)
            new_top = jnp.maximum(top, s.max(-1))
            p, shrink = jnp.exp(s - new_top[..., None]), jnp.exp(top - new_top)
            o = o * shrink[..., None] + _einsum("bkgts,bksh->bkgth", p.astype(v.dtype), v)
            return new_top, total * shrink + p.sum(-1), o

        zero = jnp.zeros(q.shape[:-1], jnp.float32)
        start = zero + MASKED, zero, jnp.zeros(q.shape, jnp.float32)
        first = _first_block(how, segment_ids_BT, i, C)
        top, total, o = jax.lax.fori_loop(first, i + 1, key_block, start)
        o, lse = (o / total[..., None]).astype(v_BKTH.dtype), top + jnp.log(total)
        return put(done[0], o, i * C, 3), put(done[1], lse, i * C, 3)

    shape = q_BKGTH.shape
    empty = jnp.zeros(shape, v_BKTH.dtype), jnp.zeros(shape[:-1], jnp.float32)
    return jax.lax.fori_loop(0, shape[3] // C, query_block, empty)


def _backward(
    how: Scores, C: int, q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT, o_BKGTH, lse_BKGT, do_BKGTH
):
    """Gradients of q, k and v; scores are [.., keys, .., queries] here."""
    dtype = k_BKTH.dtype
    delta_BKGT = _einsum("bkgth,bkgth->bkgt", o_BKGTH, do_BKGTH)

    def query_block(i, done):
        q, do = take(q_BKGTH, i * C, C, 3), take(do_BKGTH, i * C, C, 3)
        lse, delta = (take(x, i * C, C, 3)[:, :, None] for x in (lse_BKGT, delta_BKGT))

        def key_block(j, running):
            dq_BKHGT, dk, dv = running
            k, v = take(k_BKTH, j * C, C, 2), take(v_BKTH, j * C, C, 2)
            mask_BST = _sees(how, segment_ids_BT, i, j, C)
            s_BKSGT = how.cap(_einsum("bksh,bkgth->bksgt", k, q))
            p_BKSGT = jnp.where(mask_BST[:, None, :, None], jnp.exp(s_BKSGT - lse), 0.0)
            more_dv = _einsum("bksgt,bkgth->bksh", p_BKSGT.astype(dtype), do)
            dp_BKSGT = _einsum("bksh,bkgth->bksgt", v, do)
            ds_BKSGT = (p_BKSGT * (dp_BKSGT - delta) * how.slope(s_BKSGT)).astype(dtype)
            more_dk = _einsum("bksgt,bkgth->bksh", ds_BKSGT, q)
            dq_BKHGT += _einsum("bksh,bksgt->bkhgt", k, ds_BKSGT)
            return dq_BKHGT, _add(dk, more_dk, j * C), _add(dv, more_dv, j * C)

        B, K, G, _, H = q.shape
        start = jnp.zeros((B, K, H, G, C), jnp.float32), *done[1:]
        first = _first_block(how, segment_ids_BT, i, C)
        dq_BKHGT, dk, dv = jax.lax.fori_loop(first, i + 1, key_block, start)
        dq = dq_BKHGT.transpose(0, 1, 3, 4, 2).astype(dtype)
        return put(done[0], dq, i * C, 3), dk, dv

    zeros = jnp.zeros(k_BKTH.shape, jnp.float32)
    start = jnp.zeros(q_BKGTH.shape, dtype), zeros, zeros
    dq, dk, dv = jax.lax.fori_loop(0, q_BKGTH.shape[3] // C, query_block, start)
    return dq, dk.astype(dtype), dv.astype(dtype)


def _add(x_BKTH: jax.Array, more: jax.Array, start: Any) -> jax.Array:
    return put(x_BKTH, take(x_BKTH, start, more.shape[2], 2) + more, start, 2)


def _block(width: int) -> int:
    """Tokens of a block, for N*H = `width`."""
    if platform() != "cpu":
        return ACCELERATOR_BLOCK
    return CPU_BLOCK * (2 if width >= WIDE else 1)


def _rows(function: Callable, *args: jax.Array) -> Any:
    """Call `function(C, *args)`: on one CPU row by row, elsewhere all rows at once."""
    _, K, G, T, H = args[0].shape
    C = min(_block(K * G * H), T)
    if not on_one_cpu():
        return function(C, *args)

    def one(row: tuple) -> Any:
        return jax.tree.map(lambda x: x[0], function(C, *(x[None] for x in row)))

    return jax.lax.map(one, args)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _packed(how, q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT):
    forward = functools.partial(_forward, how)
    return _rows(forward, q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT)[0]


def _packed_fwd(how, *args):
    o_BKGTH, lse_BKGT = map(keep, _rows(functools.partial(_forward, how), *args))
    return o_BKGTH, (*args, o_BKGTH, lse_BKGT)


def _packed_bwd(how, residuals, do_BKGTH):
    return (*_rows(functools.partial(_backward, how), *residuals, do_BKGTH), None)


_packed.defvjp(_packed_fwd, _packed_bwd)


def packed_attention(
    how: Scores,
    q_BTNH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    segment_ids_BT: jax.Array,
) -> jax.Array:
    """Attention within each segment of a packed row, each token to itself and earlier ones.

    Args:
        how: scale, soft cap and window of the scores.
        q_BTNH: queries.
        k_BTKH: keys.
        v_BTKH: values, same dtype as the keys.
        segment_ids_BT: each segment is one contiguous run; its id occurs nowhere else in the row.

    Returns:
        o_BTNH in the dtype of `v_BTKH`.
    """
    if platform() == "tpu":
        return splash_attention(how, q_BTNH, k_BTKH, v_BTKH, segment_ids_BT)
    T, block = segment_ids_BT.shape[1], _block(math.prod(q_BTNH.shape[2:]))
    pad = -T % block if block < T else 0

    def padded(x):
        return jnp.pad(x, [(0, 0), (0, pad)] + [(0, 0)] * (x.ndim - 2))

    segment_ids_BT = jnp.pad(
        segment_ids_BT.astype(jnp.int32), [(0, 0), (0, pad)], constant_values=-1
    )
    q_BKGTH = group_queries(padded(q_BTNH), k_BTKH.shape[2], how.scale)
    k_BKTH, v_BKTH = (padded(x).transpose(0, 2, 1, 3) for x in (k_BTKH, v_BTKH))
    return ungroup(_packed(how, q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT))[:, :T]
