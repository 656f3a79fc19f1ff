"""Packed attention on TPU: JAX's own Pallas kernel, on each device's rows and heads.

`jax.experimental.pallas.ops.tpu.splash_attention`: no scores in memory, blocks that a causal or a
sliding mask rules out are skipped, its own backward kernels.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

from duomem_jax.models.axes import mesh_axes, parts
from duomem_jax.models.layers import KEPT
from duomem_jax.models.scores import ScoreRule

LANES, BLOCK = 128, 512  # tokens: blocks are multiples of the first, at most the second


def splash_attention(
    rule: ScoreRule,
    q_BTNH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    segment_ids_BT: jax.Array,
    *,
    interpret: bool = False,
) -> jax.Array:
    """As `attention.packed_attention`.

    Args:
        rule: scale, soft cap and window of the scores.
        q_BTNH: queries.
        k_BTKH: keys.
        v_BTKH: values.
        segment_ids_BT: tokens with different ids do not see each other.
        interpret: run the kernel on any device, slowly; for tests.
    """
    T, mesh = q_BTNH.shape[1], jax.sharding.get_abstract_mesh()
    # The kernel takes whole blocks: a short row is one block, padded to the next multiple.
    block = min(BLOCK, -(-T // LANES) * LANES)
    pad = -T % block

    def heads_first(x_BTNH):
        return jnp.pad(x_BTNH, ((0, 0), (0, pad), (0, 0), (0, 0))).transpose(0, 2, 1, 3)

    q_BNTH, k_BKTH, v_BKTH = map(heads_first, (q_BTNH * rule.scale, k_BTKH, v_BTKH))
    # No segment has the id -1, so no token sees the padding.
    ids_BT = jnp.pad(segment_ids_BT.astype(jnp.int32), ((0, 0), (0, pad)), constant_values=-1)

    def local(q_BNTH, k_BKTH, v_BKTH, ids_BT):
        kernel = _kernel(rule, q_BNTH.shape[1], T + pad, block, interpret)
        # The kernel knows [N,T,H], one row; here N counts the heads of one device.
        return jax.vmap(kernel)(q_BNTH, k_BKTH, v_BKTH, kernels.SegmentIds(ids_BT, ids_BT))

    # XLA cannot split a Pallas kernel by itself, so each device is given its own rows and heads.
    if mesh.size > 1:
        by_heads, by_rows = mesh_axes("batch", "heads", None, None), mesh_axes("batch", None)
        shares = parts("heads")
        copies = shares // math.gcd(shares, k_BKTH.shape[1])  # a device needs a key head of its own
        k_BKTH, v_BKTH = (jnp.repeat(x, copies, axis=1) for x in (k_BKTH, v_BKTH))
        # check_vma: the kernel does not say over which axes of the mesh its outputs vary.
        local = jax.shard_map(
            local, in_specs=(by_heads,) * 3 + (by_rows,), out_specs=by_heads, check_vma=False
        )
    return local(q_BNTH, k_BKTH, v_BKTH, ids_BT).transpose(0, 2, 1, 3)[:, :T]


def _kernel(rule: ScoreRule, n_heads: int, T: int, block: int, interpret: bool):
    mask: masks.Mask = masks.CausalMask((T, T))
    if rule.window:
        # Our window counts the query itself, this one the tokens to its left.
        mask = masks.LocalMask((T, T), (rule.window - 1, 0), 0)
    names = [
        # The forward kernel, the one for dk and dv, the one for dq.
        *("block_q", "block_kv", "block_kv_compute"),
        *("block_q_dkv", "block_kv_dkv", "block_kv_dkv_compute"),
        *("block_q_dq", "block_kv_dq"),
    ]
    sizes: dict[str, Any] = dict.fromkeys(names, block)
    return kernels.make_splash_mha(
        masks.MultiHeadMask([mask] * n_heads),
        block_sizes=kernels.BlockSizes(**sizes),
        attn_logits_soft_cap=rule.softcap or None,
        # Its output and log-sum-exp are kept for the backward pass, as `attention` keeps its own.
        residual_checkpoint_name=KEPT,
        # Within `shard_map` the kernel has only one device's share to do.
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )
