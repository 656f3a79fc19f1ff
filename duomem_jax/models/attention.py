"""Causal attention in query blocks, for packed rows and for the key/value cache."""

import jax
import jax.numpy as jnp

BLOCK = 256  # queries a block; scores never exceed [B, N, BLOCK, keys]
MASKED = -1e30  # finite, so that a row with every key masked stays finite


def _attend(q_BKGTH, k_BKSH, v_BKSH, mask_BTS):
    """Softmax attention of one query block; scores and softmax in float32."""
    scale = q_BKGTH.shape[-1] ** -0.5
    s_BKGTS = jnp.einsum(
        "bkgth,bksh->bkgts", q_BKGTH * scale, k_BKSH, preferred_element_type=jnp.float32
    )
    p_BKGTS = jax.nn.softmax(jnp.where(mask_BTS[:, None, None], s_BKGTS, MASKED))
    return jnp.einsum("bkgts,bksh->bkgth", p_BKGTS.astype(v_BKSH.dtype), v_BKSH)


def _group(q_BTNH, n_kv_heads: int):
    """[B,T,N,H] -> [B,K,G,T,H]: query heads beside the key head they share."""
    B, T, N, H = q_BTNH.shape
    return q_BTNH.reshape(B, T, n_kv_heads, N // n_kv_heads, H).transpose(0, 2, 3, 1, 4)


def _ungroup(o_BKGTH):
    B, K, G, T, H = o_BKGTH.shape
    return o_BKGTH.transpose(0, 3, 1, 2, 4).reshape(B, T, K * G, H)


def packed_attention(q_BTNH, k_BTKH, v_BTKH, segment_ids_BT):
    """Attention within each segment of a packed row, each token to itself and earlier ones.

    Keys after a query block's last query are never touched, so about half of the score
    matrix is computed.

    Returns:
        o_BTNH in the dtype of `v_BTKH`.
    """
    T = q_BTNH.shape[1]
    q_BKGTH = _group(q_BTNH, k_BTKH.shape[2])
    k_BKTH, v_BKTH = k_BTKH.transpose(0, 2, 1, 3), v_BTKH.transpose(0, 2, 1, 3)
    index_T = jnp.arange(T)
    out = []
    for start in range(0, T, BLOCK):
        stop = min(start + BLOCK, T)
        mask_BTS = (index_T[start:stop, None] >= index_T[None, :stop]) & (
            segment_ids_BT[:, start:stop, None] == segment_ids_BT[:, None, :stop]
        )
        out.append(
            _attend(q_BKGTH[..., start:stop, :], k_BKTH[:, :, :stop], v_BKTH[:, :, :stop], mask_BTS)
        )
    return _ungroup(jnp.concatenate(out, axis=3))


def cached_attention(q_BTNH, k_BSKH, v_BSKH, positions_BT):
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
    for start in range(0, T, BLOCK):
        stop = min(start + BLOCK, T)
        mask_BTS = positions_BT[:, start:stop, None] >= jnp.arange(S)
        out.append(_attend(q_BKGTH[..., start:stop, :], k_BKSH, v_BKSH, mask_BTS))
    return _ungroup(jnp.concatenate(out, axis=3))
