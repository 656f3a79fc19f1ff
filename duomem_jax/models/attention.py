"""Causal attention in query blocks, for packed rows and for the key/value cache.

The packed form has its own backward pass: it keeps only the output and one log-sum-exp per
query, recomputes the scores, and lays them out keys first so that no large transpose is needed.
"""

import functools

import jax
import jax.numpy as jnp

BLOCK = 256  # queries a block; scores never exceed [B, N, BLOCK, keys]
MASKED = -1e30  # finite, so that a row with every key masked stays finite

_einsum = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)


def _group(q_BTNH: jax.Array, n_kv_heads: int) -> jax.Array:
    """[B,T,N,H] -> [B,K,G,T,H]: query heads beside the key head they share; scaled."""
    B, T, N, H = q_BTNH.shape
    q_BTKGH = q_BTNH.reshape(B, T, n_kv_heads, N // n_kv_heads, H) * H**-0.5
    return q_BTKGH.transpose(0, 2, 3, 1, 4)


def _ungroup(o_BKGTH: jax.Array) -> jax.Array:
    B, K, G, T, H = o_BKGTH.shape
    return o_BKGTH.transpose(0, 3, 1, 2, 4).reshape(B, T, K * G, H)


def _softmax_times_values(q_BKGTH, k_BKSH, v_BKSH, mask_BTS):
    """One query block: (o_BKGTH, logsumexp_BKGT); scores and softmax in float32."""
    s_BKGTS = _einsum("bkgth,bksh->bkgts", q_BKGTH, k_BKSH)
    s_BKGTS = jnp.where(mask_BTS[:, None, None], s_BKGTS, MASKED)
    top_BKGT1 = s_BKGTS.max(-1, keepdims=True)
    p_BKGTS = jnp.exp(s_BKGTS - top_BKGT1)
    sum_BKGT1 = p_BKGTS.sum(-1, keepdims=True)
    o_BKGTH = _einsum("bkgts,bksh->bkgth", p_BKGTS.astype(v_BKSH.dtype), v_BKSH) / sum_BKGT1
    return o_BKGTH.astype(v_BKSH.dtype), (top_BKGT1 + jnp.log(sum_BKGT1))[..., 0]


def _blocks(T: int) -> list[tuple[int, int]]:
    """Query blocks (start, stop); the keys of a block are 0..stop, later ones are skipped."""
    return [(start, min(start + BLOCK, T)) for start in range(0, T, BLOCK)]


def _sees(segment_ids_BT: jax.Array, start: int, stop: int) -> jax.Array:
    """mask_BTS of one query block: same segment, and not later."""
    index_T = jnp.arange(stop)
    return (index_T[start:, None] >= index_T) & (
        segment_ids_BT[:, start:stop, None] == segment_ids_BT[:, None, :stop]
    )


def _forward(q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT):
    parts = [
        _softmax_times_values(
            q_BKGTH[..., start:stop, :],
            k_BKTH[:, :, :stop],
            v_BKTH[:, :, :stop],
            _sees(segment_ids_BT, start, stop),
        )
        for start, stop in _blocks(q_BKGTH.shape[3])
    ]
    o, lse = zip(*parts, strict=True)
    return jnp.concatenate(o, axis=3), jnp.concatenate(lse, axis=3)


def _backward(q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT, o_BKGTH, lse_BKGT, do_BKGTH):
    dtype = k_BKTH.dtype
    delta_BKGT = _einsum("bkgth,bkgth->bkgt", o_BKGTH, do_BKGTH)
    dq, dk = [], jnp.zeros(k_BKTH.shape, jnp.float32)
    dv = dk
    for start, stop in _blocks(q_BKGTH.shape[3]):
        q, do = q_BKGTH[..., start:stop, :], do_BKGTH[..., start:stop, :]
        k, v = k_BKTH[:, :, :stop], v_BKTH[:, :, :stop]
        lse, delta = (x[:, :, None, :, start:stop] for x in (lse_BKGT, delta_BKGT))
        mask_BST = _sees(segment_ids_BT, start, stop).transpose(0, 2, 1)
        s_BKSGT = _einsum("bksh,bkgth->bksgt", k, q)
        p_BKSGT = jnp.where(mask_BST[:, None, :, None], jnp.exp(s_BKSGT - lse), 0.0)
        dv = dv.at[:, :, :stop].add(_einsum("bksgt,bkgth->bksh", p_BKSGT.astype(dtype), do))
        dp_BKSGT = _einsum("bksh,bkgth->bksgt", v, do)
        ds_BKSGT = (p_BKSGT * (dp_BKSGT - delta)).astype(dtype)
        dk = dk.at[:, :, :stop].add(_einsum("bksgt,bkgth->bksh", ds_BKSGT, q))
        dq.append(_einsum("bksh,bksgt->bkhgt", k, ds_BKSGT))
    dq_BKGTH = jnp.concatenate(dq, axis=4).transpose(0, 1, 3, 4, 2)
    return tuple(x.astype(dtype) for x in (dq_BKGTH, dk, dv))


def _row_by_row(function, *args):
    """On one CPU, one row at a time: its scores stay in the cache, twice as fast there."""
    if jax.default_backend() != "cpu" or jax.sharding.get_abstract_mesh().size > 1:
        return function(*args)
    one = lambda row: jax.tree.map(lambda x: x[0], function(*(x[None] for x in row)))  # noqa: E731
    return jax.lax.map(one, args)


@jax.custom_vjp
def _packed(q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT):
    return _row_by_row(_forward, q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT)[0]


def _packed_fwd(*args):
    o_BKGTH, lse_BKGT = _row_by_row(_forward, *args)
    return o_BKGTH, (*args, o_BKGTH, lse_BKGT)


def _packed_bwd(residuals, do_BKGTH):
    return (*_row_by_row(_backward, *residuals, do_BKGTH), None)


_packed.defvjp(_packed_fwd, _packed_bwd)


def packed_attention(
    q_BTNH: jax.Array, k_BTKH: jax.Array, v_BTKH: jax.Array, segment_ids_BT: jax.Array
) -> jax.Array:
    """Attention within each segment of a packed row, each token to itself and earlier ones.

    Keys after a query block's last query are never touched, so about half of the score
    matrix is computed.

    Returns:
        o_BTNH in the dtype of `v_BTKH`.
    """
    q_BKGTH = _group(q_BTNH, k_BTKH.shape[2])
    k_BKTH, v_BKTH = k_BTKH.transpose(0, 2, 1, 3), v_BTKH.transpose(0, 2, 1, 3)
    return _ungroup(_packed(q_BKGTH, k_BKTH, v_BKTH, segment_ids_BT))


def cached_attention(
    q_BTNH: jax.Array, k_BSKH: jax.Array, v_BSKH: jax.Array, positions_BT: jax.Array
) -> jax.Array:
    """Attention of new tokens to a cache that already holds their own keys and values.

    Args:
        q_BTNH: queries of the new tokens.
        k_BSKH: the cache's keys; slot s holds the token at position s of its row.
        v_BSKH: the cache's values.
        positions_BT: int32, position of each query in its row; it sees slots 0..position.

    Returns:
        o_BTNH in the dtype of `v_BSKH`.
    """
    T, S = q_BTNH.shape[1], k_BSKH.shape[1]
    q_BKGTH = _group(q_BTNH, k_BSKH.shape[2])
    k_BKSH, v_BKSH = k_BSKH.transpose(0, 2, 1, 3), v_BSKH.transpose(0, 2, 1, 3)
    out = []
    for start, stop in _blocks(T):
        mask_BTS = positions_BT[:, start:stop, None] >= jnp.arange(S)
        out.append(_softmax_times_values(q_BKGTH[..., start:stop, :], k_BKSH, v_BKSH, mask_BTS)[0])
    return _ungroup(jnp.concatenate(out, axis=3))
