"""Attention of new tokens to a key/value cache."""

import jax
import jax.numpy as jnp

from duomem_jax.models.attention import MASKED, group_queries, ungroup
from duomem_jax.models.scores import ScoreRule

BLOCK = 256  # queries a block; scores never exceed [B, N, BLOCK, S]


def cached_attention(
    rule: ScoreRule,
    q_BTNH: jax.Array,
    k_BKHS: jax.Array,
    v_BKSH: jax.Array,
    positions_BT: jax.Array,
) -> jax.Array:
    """Attention of new tokens to a cache that already holds their own keys and values.

    Args:
        rule: scale, soft cap and window of the scores.
        q_BTNH: queries of the new tokens.
        k_BKHS: the cache's keys; slot s holds the token at position s of its row.
        v_BKSH: the cache's values.
        positions_BT: int32, position of each query in its row; it sees slots 0..position.

    Returns:
        o_BTNH in the dtype of `v_BKSH`.
    """
    T, (_, K, _, S) = q_BTNH.shape[1], k_BKHS.shape
    q_BKGTH = group_queries(q_BTNH, K, rule.scale)
    out = []
    # Unrolled: a decode step has one block, and a prompt few.
    for start in range(0, T, BLOCK):
        q_BKGQH = q_BKGTH[..., start : start + BLOCK, :]
        # Slots after a query's position are later tokens or left-overs: the causal rule hides both.
        back_BQS = positions_BT[:, start : start + BLOCK, None] - jnp.arange(S)
        s_BKGQS = jnp.einsum(
            "bkgqh,bkhs->bkgqs", q_BKGQH, k_BKHS, preferred_element_type=jnp.float32
        )
        s_BKGQS = jnp.where(rule.sees(back_BQS)[:, None, None], rule.cap(s_BKGQS), MASKED)
        p_BKGQS = jax.nn.softmax(s_BKGQS)
        out.append(jnp.einsum("bkgqs,bksh->bkgqh", p_BKGQS.astype(v_BKSH.dtype), v_BKSH))
    return ungroup(jnp.concatenate(out, axis=3))
