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

from duomem_jax.models.cudnn import cudnn_attention, fits
from duomem_jax.models.layers import keep
from duomem_jax.models.platform import on_one_cpu, platform
from duomem_jax.models.scores import ScoreRule
from duomem_jax.models.splash import splash_attention

CPU_BLOCK, ACCELERATOR_BLOCK = 64, 512  # tokens; on a CPU a block's scores stay in the cache
WIDE = 512  # N*H from which on a CPU's blocks are twice as long: two threads share their products
MASKED = -1e30  # finite, so that a block with every key masked stays finite

_einsum = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)


def group_queries(q_BTNH: jax.Array, n_kv_heads: int, scale: float) -> jax.Array:
    """[B,T,N,H] -> [B,K,G,T,H], scaled: query heads beside the key head they share."""
    B, T, N, H = q_BTNH.shape
    # Queries are scaled, not scores: T * H numbers a head instead of T * T.
    q_BTKGH = q_BTNH.reshape(B, T, n_kv_heads, N // n_kv_heads, H) * scale
    return q_BTKGH.transpose(0, 2, 3, 1, 4)


def ungroup(o_BKGTH: jax.Array) -> jax.Array:
    """[B,K,G,T,H] -> [B,T,N,H]."""
    B, K, G, T, H = o_BKGTH.shape
    return o_BKGTH.transpose(0, 3, 1, 2, 4).reshape(B, T, K * G, H)


def _first_block(rule: ScoreRule, segment_ids_BT: jax.Array, i: jax.Array, block: int) -> jax.Array:
    """The first key block that any query of block `i` can see, over all rows."""
    # Segments are contiguous runs, so the segment of the first query starts earliest. Loops are
    # shared by all rows: the earliest start of any row counts.
    starts_B1 = take(segment_ids_BT, i * block, 1, 1)
    first = jnp.min(jnp.argmax(segment_ids_BT == starts_B1, axis=1))
    if rule.window:
        first = jnp.maximum(first, i * block - rule.window + 1)
    return first // block


def _sees(
    rule: ScoreRule, segment_ids_BT: jax.Array, i: jax.Array, j: jax.Array, block: int
) -> jax.Array:
    """mask_BJQ of query block `i` and key block `j`: same segment, not later, not too early."""
    index = jnp.arange(block)
    back_JQ = (i * block + index)[None, :] - (j * block + index)[:, None]
    queries_BQ = take(segment_ids_BT, i * block, block, 1)
    keys_BJ = take(segment_ids_BT, j * block, block, 1)
    return rule.sees(back_JQ) & (keys_BJ[:, :, None] == queries_BQ[:, None, :])


def _forward(
    rule: ScoreRule,
    block: int,
    q_BKGTH: jax.Array,
    k_BKTH: jax.Array,
    v_BKTH: jax.Array,
    segment_ids_BT: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """(o_BKGTH, logsumexp_BKGT float32) with blocks of `block` tokens."""

    def query_block(i, done):
        q_BKGQH = take(q_BKGTH, i * block, block, 3)

        def key_block(j, running):
            # `total` and `o` are sums relative to the largest score so far, `top`: when a block
            # raises it, what was summed before shrinks.
            top_BKGQ, total_BKGQ, o_BKGQH = running
            k_BKJH, v_BKJH = take(k_BKTH, j * block, block, 2), take(v_BKTH, j * block, block, 2)
            mask_BQJ = _sees(rule, segment_ids_BT, i, j, block).transpose(0, 2, 1)
            s_BKGQJ = rule.cap(_einsum("bkgqh,bkjh->bkgqj", q_BKGQH, k_BKJH))
            s_BKGQJ = jnp.where(mask_BQJ[:, None, None], s_BKGQJ, MASKED)
            new_top_BKGQ = jnp.maximum(top_BKGQ, s_BKGQJ.max(-1))
            p_BKGQJ = jnp.exp(s_BKGQJ - new_top_BKGQ[..., None])
            shrink_BKGQ = jnp.exp(top_BKGQ - new_top_BKGQ)
            o_BKGQH *= shrink_BKGQ[..., None]
            o_BKGQH += _einsum("bkgqj,bkjh->bkgqh", p_BKGQJ.astype(v_BKJH.dtype), v_BKJH)
            return new_top_BKGQ, total_BKGQ * shrink_BKGQ + p_BKGQJ.sum(-1), o_BKGQH

        zero_BKGQ = jnp.zeros(q_BKGQH.shape[:-1], jnp.float32)
        # Where all keys of a block are masked for a query, p is 1, as MASKED - MASKED is 0. What
        # that adds is shrunk to 0 by the first key that is seen, and a query sees itself at least.
        start = zero_BKGQ + MASKED, zero_BKGQ, jnp.zeros(q_BKGQH.shape, jnp.float32)
        first = _first_block(rule, segment_ids_BT, i, block)
        # JAX has no reverse derivative of a loop with traced bounds: hence `_backward`.
        top_BKGQ, total_BKGQ, o_BKGQH = jax.lax.fori_loop(first, i + 1, key_block, start)
        o_BKGQH = (o_BKGQH / total_BKGQ[..., None]).astype(v_BKTH.dtype)
        # The backward pass makes p from it at once, without a second search for the maximum.
        lse_BKGQ = top_BKGQ + jnp.log(total_BKGQ)
        return put(done[0], o_BKGQH, i * block, 3), put(done[1], lse_BKGQ, i * block, 3)

    shape = q_BKGTH.shape
    empty = jnp.zeros(shape, v_BKTH.dtype), jnp.zeros(shape[:-1], jnp.float32)
    return jax.lax.fori_loop(0, shape[3] // block, query_block, empty)


def _backward(
    rule: ScoreRule,
    block: int,
    q_BKGTH: jax.Array,
    k_BKTH: jax.Array,
    v_BKTH: jax.Array,
    segment_ids_BT: jax.Array,
    o_BKGTH: jax.Array,
    lse_BKGT: jax.Array,
    do_BKGTH: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gradients of q, k and v; scores have their keys first here, so that none is transposed."""
    dtype = k_BKTH.dtype
    # The gradient of a softmax: ds = p * (dp - sum over keys of p * dp), and that sum is o * do.
    delta_BKGT = _einsum("bkgth,bkgth->bkgt", o_BKGTH, do_BKGTH)

    def query_block(i, done):
        q_BKGQH, do_BKGQH = take(q_BKGTH, i * block, block, 3), take(do_BKGTH, i * block, block, 3)
        lse_BK1GQ = take(lse_BKGT, i * block, block, 3)[:, :, None]
        delta_BK1GQ = take(delta_BKGT, i * block, block, 3)[:, :, None]

        def key_block(j, running):
            dq_BKHGQ, dk_BKTH, dv_BKTH = running
            k_BKJH, v_BKJH = take(k_BKTH, j * block, block, 2), take(v_BKTH, j * block, block, 2)
            mask_BJQ = _sees(rule, segment_ids_BT, i, j, block)
            s_BKJGQ = rule.cap(_einsum("bkjh,bkgqh->bkjgq", k_BKJH, q_BKGQH))
            p_BKJGQ = jnp.where(mask_BJQ[:, None, :, None], jnp.exp(s_BKJGQ - lse_BK1GQ), 0.0)
            more_dv = _einsum("bkjgq,bkgqh->bkjh", p_BKJGQ.astype(dtype), do_BKGQH)
            dp_BKJGQ = _einsum("bkjh,bkgqh->bkjgq", v_BKJH, do_BKGQH)
            # `slope` takes scores after the cap, which is what s is here.
            ds_BKJGQ = (p_BKJGQ * (dp_BKJGQ - delta_BK1GQ) * rule.slope(s_BKJGQ)).astype(dtype)
            more_dk = _einsum("bkjgq,bkgqh->bkjh", ds_BKJGQ, q_BKGQH)
            dq_BKHGQ += _einsum("bkjh,bkjgq->bkhgq", k_BKJH, ds_BKJGQ)
            dk_BKTH, dv_BKTH = _add(dk_BKTH, more_dk, j * block), _add(dv_BKTH, more_dv, j * block)
            return dq_BKHGQ, dk_BKTH, dv_BKTH

        B, K, G, _, H = q_BKGQH.shape
        # A query block ends its own dq; dk and dv go on through all blocks that see the keys.
        start = jnp.zeros((B, K, H, G, block), jnp.float32), *done[1:]
        first = _first_block(rule, segment_ids_BT, i, block)
        dq_BKHGQ, dk_BKTH, dv_BKTH = jax.lax.fori_loop(first, i + 1, key_block, start)
        dq_BKGQH = dq_BKHGQ.transpose(0, 1, 3, 4, 2).astype(dtype)
        return put(done[0], dq_BKGQH, i * block, 3), dk_BKTH, dv_BKTH

    # float32, as every later query block adds to them.
    zeros = jnp.zeros(k_BKTH.shape, jnp.float32)
    start = jnp.zeros(q_BKGTH.shape, dtype), zeros, zeros
    dq, dk, dv = jax.lax.fori_loop(0, q_BKGTH.shape[3] // block, query_block, start)
    return dq, dk.astype(dtype), dv.astype(dtype)


def _add(x_BKTH: jax.Array, more_BKJH: jax.Array, start: jax.Array) -> jax.Array:
    return put(x_BKTH, take(x_BKTH, start, more_BKJH.shape[2], 2) + more_BKJH, start, 2)


def _block(width: int) -> int:
    """Tokens of a block, for N*H = `width`."""
    if platform() != "cpu":
        return ACCELERATOR_BLOCK
    return CPU_BLOCK * (2 if width >= WIDE else 1)


def _row_by_row(function: Callable[..., Any], *args: jax.Array) -> Any:
    """Call `function(block, *args)`: on one CPU a row at a time, elsewhere all rows at once.

    On a CPU the blocks of one row stay in a core's cache, and each row's loops end where its own
    segments do; an accelerator wants its matrices full.
    """
    # A row shorter than a block is one block of its own length.
    _, K, G, T, H = args[0].shape
    block = min(_block(K * G * H), T)
    if not on_one_cpu():
        return function(block, *args)

    def one(row: tuple[jax.Array, ...]) -> Any:
        return jax.tree.map(lambda x: x[0], function(block, *(x[None] for x in row)))

    return jax.lax.map(one, args)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _packed(rule, q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT):
    forward = functools.partial(_forward, rule)
    return _row_by_row(forward, q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT)[0]


def _packed_fwd(rule, *args):
    # Named for `KEEP_PRODUCTS`: the backward pass would run the whole forward loop again.
    o_BKGTH, lse_BKGT = map(keep, _row_by_row(functools.partial(_forward, rule), *args))
    return o_BKGTH, (*args, o_BKGTH, lse_BKGT)


def _packed_bwd(rule, residuals, do_BKGTH):
    backward = functools.partial(_backward, rule)
    return (*_row_by_row(backward, *residuals, do_BKGTH), None)  # segment ids have no gradient


_packed.defvjp(_packed_fwd, _packed_bwd)


def packed_attention(
    rule: ScoreRule,
    q_BTNH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    segment_ids_BT: jax.Array,
) -> jax.Array:
    """Attention within each segment of a packed row, each token to itself and earlier ones.

    Args:
        rule: scale, soft cap and window of the scores.
        q_BTNH: queries.
        k_BTKH: keys.
        v_BTKH: values, same dtype as the keys.
        segment_ids_BT: each segment is one contiguous run; its id occurs nowhere else in the row.

    Returns:
        o_BTNH in the dtype of `v_BTKH`.
    """
    if platform() == "tpu":
        return splash_attention(rule, q_BTNH, k_BTKH, v_BTKH, segment_ids_BT)
    if platform() == "gpu" and fits(rule, q_BTNH):
        return cudnn_attention(rule, q_BTNH, k_BTKH, v_BTKH, segment_ids_BT, looped_attention)
    return looped_attention(rule, q_BTNH, k_BTKH, v_BTKH, segment_ids_BT)


def looped_attention(
    rule: ScoreRule,
    q_BTNH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    segment_ids_BT: jax.Array,
) -> jax.Array:
    """As `packed_attention`, in loops that every backend compiles."""
    T, block = segment_ids_BT.shape[1], _block(math.prod(q_BTNH.shape[2:]))
    # Blocks are whole: rows are padded to a multiple, with an id that no segment has.
    pad = -T % block if block < T else 0

    def padded(x):
        return jnp.pad(x, [(0, 0), (0, pad)] + [(0, 0)] * (x.ndim - 2))

    segment_ids_BT = jnp.pad(
        segment_ids_BT.astype(jnp.int32), [(0, 0), (0, pad)], constant_values=-1
    )
    q_BKGTH = group_queries(padded(q_BTNH), k_BTKH.shape[2], rule.scale)
    k_BKTH, v_BKTH = (padded(x).transpose(0, 2, 1, 3) for x in (k_BTKH, v_BTKH))
    return ungroup(_packed(rule, q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT))[:, :T]
