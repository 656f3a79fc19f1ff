"""Packed attention on NVIDIA GPUs from Hopper on: cuDNN's flash attention, segment by segment.

JAX has the kernel (`jax.nn.dot_product_attention(implementation="cudnn")`), but reaches its layout
for packed rows only from inside: `pyproject.toml` bounds the versions of JAX that are tried.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from duomem_jax.models.axes import mesh_axes
from duomem_jax.models.scores import ScoreRule

CAPABILITY = 9.0  # Hopper: older chips know no packed layout
WIDEST = 256  # H, of a head
LEAST, TOKENS = 8, 64  # segments of a row that the kernel has room for: one for so many tokens


class Segments(NamedTuple):
    """Where the segments of rows lie; -1 behind the last one of a row.

    Attributes:
        starts_BM: first token of each.
        lengths_BM: tokens of each.
        count_B: segments of each row, of which only M are named.
    """

    starts_BM: jax.Array
    lengths_BM: jax.Array
    count_B: jax.Array


def fits(rule: ScoreRule, q_BTNH: jax.Array) -> bool:
    """Whether the kernel computes such scores, in this type, on the device at hand."""
    H, dtype = q_BTNH.shape[-1], q_BTNH.dtype
    kernel = dtype in (jnp.bfloat16, jnp.float16) and H % 8 == 0 and H <= WIDEST
    return kernel and not rule.softcap and _capability() >= CAPABILITY


@functools.cache
def _capability() -> float:
    """Of the first device; 0 where it is no NVIDIA GPU."""
    found = getattr(jax.devices()[0], "compute_capability", "")
    return float(found) if found.replace(".", "").isdigit() else 0.0  # AMD's have letters


def cudnn_attention(
    rule: ScoreRule,
    q_BTNH: jax.Array,
    k_BTKH: jax.Array,
    v_BTKH: jax.Array,
    segment_ids_BT: jax.Array,
    otherwise: Callable[..., jax.Array],
) -> jax.Array:
    """As `attention.packed_attention`.

    Args:
        rule: scale and window of the scores.
        q_BTNH: queries.
        k_BTKH: keys.
        v_BTKH: values.
        segment_ids_BT: each segment is one contiguous run.
        otherwise: the same without the kernel, for rows of more segments than it has room for.
    """
    most = max(LEAST, q_BTNH.shape[1] // TOKENS)

    def local(q_BTNH, k_BTKH, v_BTKH, segment_ids_BT):
        found = segments(segment_ids_BT, most)
        # Decided at each step: how many segments a row has is data, not shape.
        return jax.lax.cond(
            jnp.max(found.count_B) <= most,
            lambda q, k, v: _kernel(rule, q, k, v, found),
            lambda q, k, v: otherwise(rule, q, k, v, segment_ids_BT),
            *(q_BTNH, k_BTKH, v_BTKH),
        )

    # JAX takes the offsets of keys for those of queries (0.10, 0.11), so there must be as many
    # heads.
    groups = q_BTNH.shape[2] // k_BTKH.shape[2]
    k_BTNH, v_BTNH = (jnp.repeat(x, groups, axis=2) for x in (k_BTKH, v_BTKH))
    if jax.sharding.get_abstract_mesh().size > 1:
        by_heads, by_rows = mesh_axes("batch", None, "heads", None), mesh_axes("batch", None)
        local = jax.shard_map(
            local, in_specs=(by_heads,) * 3 + (by_rows,), out_specs=by_heads, check_vma=False
        )
    return local(q_BTNH, k_BTNH, v_BTNH, segment_ids_BT)


def segments(segment_ids_BT: jax.Array, most: int) -> Segments:
    """Where the first `most` segments of each row begin, and how long they are."""
    T = segment_ids_BT.shape[1]
    first_BT = jnp.pad(segment_ids_BT[:, 1:] != segment_ids_BT[:, :-1], ((0, 0), (1, 0)))
    first_BT = first_BT.at[:, 0].set(True)
    # Starts come first when the places of all others are moved behind the row.
    places_BT = jnp.sort(jnp.where(first_BT, jnp.arange(T, dtype=jnp.int32), T), axis=1)
    ends_BT = jnp.pad(places_BT[:, 1:], ((0, 0), (0, 1)), constant_values=T)
    starts_BM, ends_BM = places_BT[:, :most], ends_BT[:, :most]
    there_BM = starts_BM < T
    return Segments(
        jnp.where(there_BM, starts_BM, -1),
        jnp.where(there_BM, ends_BM - starts_BM, -1),
        first_BT.sum(axis=1),
    )


def _kernel(
    rule: ScoreRule, q_BTNH: jax.Array, k_BTNH: jax.Array, v_BTNH: jax.Array, found: Segments
) -> jax.Array:
    from jax._src.cudnn.fused_attention_stablehlo import MaskType, dot_product_attention

    # One more offset than segments: the end of the last, which the kernel takes from its length.
    offsets_Bm = jnp.pad(found.starts_BM, ((0, 0), (0, 1)), constant_values=-1)
    return dot_product_attention(
        q_BTNH,
        k_BTNH,
        v_BTNH,
        q_seqlen=found.lengths_BM,
        kv_seqlen=found.lengths_BM,
        q_offsets=offsets_Bm,
        kv_offsets=offsets_Bm,
        scale=rule.scale,
        mask_type=MaskType.PADDING_CAUSAL,
        sliding_window_length=rule.window or None,
    )
