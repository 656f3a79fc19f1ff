"""Attention of new tokens to a key/value cache."""

import jax
import jax.numpy as jnp

from duomem_jax.models.attention import MASKED, group_queries, ungroup

BLOCK = 256  # queries a block; scores never exceed [B, N, BLOCK, S]


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
    q_BKGTH = group_queries(q_BTNH, k_BSKH.shape[2])
    k_BKSH, v_BKSH = k_BSKH.transpose(0, 2, 1, 3), v_BSKH.transpose(0, 2, 1, 3)
    out = []
    for start in range(0, T, BLOCK):
        q = q_BKGTH[..., start : start + BLOCK, :]
        seen_BTS = positions_BT[:, start : start + BLOCK, None] >= jnp.arange(S)
        s_BKGTS = jnp.einsum("bkgth,bksh->bkgts", q, k_BKSH, preferred_element_type=jnp.float32)
        p_BKGTS = jax.nn.softmax(jnp.where(seen_BTS[:, None, None], s_BKGTS, MASKED))
        out.append(jnp.einsum("bkgts,bksh->bkgth", p_BKGTS.astype(v_BSKH.dtype), v_BKSH))
    return ungroup(jnp.concatenate(out, axis=3))
