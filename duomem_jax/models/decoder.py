"""One decoder for every family: pre-norm, grouped-query attention, gated feed-forward.

Parameters live in the 'params' collection and adapters in 'lora', with matching paths and
the layers stacked on a leading axis L:

    params: embed/embedding [V,D], layers/self_attn/q_proj/kernel [L,D,N*H], ..., final_norm/scale
    lora:   layers/self_attn/q_proj/{a [L,D,R], b [L,R,N*H]}, ...
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.lora.config import LoraConfig
from duomem_jax.models.attention import packed_attention
from duomem_jax.models.cached import cached_attention
from duomem_jax.models.config import DTYPES, ModelConfig
from duomem_jax.models.layers import Projection, RMSNorm, rope_tables, rotate

ACTIVATION = ("batch", None, None)  # logical axes of x_BTD


class Context(NamedTuple):
    """What every layer of one call shares."""

    cos: Any  # float32 [B,T,1,H/2]
    sin: Any
    positions: Any  # int32 [B,T]
    segment_ids: Any = None  # [B,T], packed rows
    write: Any = None  # [B,T] cache slot each new token goes to; S (out of range) drops it


class Attention(nn.Module):
    """Grouped-query attention over a packed row, or over one layer of a cache."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(self, x_BTD, context: Context, cache, layer):
        """Return (o_BTD, cache); `cache` is None or the whole {"k", "v"} [L,B,S,K,H]."""
        c = self.config
        q_BTNH = self._heads("q_proj", c.n_heads)(x_BTD)
        k_BTKH = self._heads("k_proj", c.n_kv_heads)(x_BTD)
        v_BTKH = self._heads("v_proj", c.n_kv_heads)(x_BTD)
        if c.qk_norm:
            q_BTNH = RMSNorm(c.norm_eps, name="q_norm")(q_BTNH)
            k_BTKH = RMSNorm(c.norm_eps, name="k_norm")(k_BTKH)
        q_BTNH = rotate(q_BTNH, context.cos, context.sin)
        k_BTKH = rotate(k_BTKH, context.cos, context.sin)
        if cache is None:
            o_BTNH = packed_attention(q_BTNH, k_BTKH, v_BTKH, context.segment_ids)
        else:
            rows_B1 = jnp.arange(x_BTD.shape[0])[:, None]
            cache = {
                name: cache[name]
                .at[layer, rows_B1, context.write]
                .set(new.astype(cache[name].dtype), mode="drop")
                for name, new in (("k", k_BTKH), ("v", v_BTKH))
            }
            k_BSKH, v_BSKH = (cache[name][layer].astype(x_BTD.dtype) for name in ("k", "v"))
            o_BTNH = cached_attention(q_BTNH, k_BSKH, v_BSKH, context.positions)
        o_BTE = o_BTNH.reshape(*x_BTD.shape[:2], -1)
        return Projection(c.d_model, ("heads", "embed"), self.lora, name="o_proj")(o_BTE), cache

    def _heads(self, name: str, n: int):
        c = self.config
        dense = Projection(n * c.head_dim, ("embed", "heads"), self.lora, c.attn_bias, name=name)
        return lambda x_BTD: dense(x_BTD).reshape(*x_BTD.shape[:2], n, c.head_dim)


@jax.checkpoint  # keeps gate and up; what lies between is cheaper computed than stored
def gated(gate_BTF, up_BTF):
    """silu(gate) * up."""
    return jax.nn.silu(gate_BTF) * up_BTF


class GatedMlp(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(self, x_BTD):
        """Return x_BTD."""
        c = self.config
        gate_BTF = Projection(c.d_ff, ("embed", "mlp"), self.lora, name="gate_proj")(x_BTD)
        up_BTF = Projection(c.d_ff, ("embed", "mlp"), self.lora, name="up_proj")(x_BTD)
        h_BTF = nn.with_logical_constraint(gated(gate_BTF, up_BTF), ("batch", None, "mlp"))
        return Projection(c.d_model, ("mlp", "embed"), self.lora, name="down_proj")(h_BTF)


class Layer(nn.Module):
    """One pre-norm layer, in the form `nn.scan` wants: carry in, carry out."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(self, carry, context: Context, layer):
        """Return ((x_BTD, cache), None)."""
        x_BTD, cache = carry
        eps = self.config.norm_eps
        h_BTD = RMSNorm(eps, name="input_layernorm")(x_BTD)
        h_BTD, cache = Attention(self.config, self.lora, name="self_attn")(
            h_BTD, context, cache, layer
        )
        x_BTD = nn.with_logical_constraint(x_BTD + h_BTD, ACTIVATION)
        h_BTD = RMSNorm(eps, name="post_attention_layernorm")(x_BTD)
        x_BTD = x_BTD + GatedMlp(self.config, self.lora, name="mlp")(h_BTD)
        return (nn.with_logical_constraint(x_BTD, ACTIVATION), cache), None


class Decoder(nn.Module):
    """Tokens to final hidden states; the head is applied by whoever needs logits."""

    config: ModelConfig
    lora: LoraConfig | None = None
    remat: bool = False  # keep only each layer's input for the backward pass

    @nn.compact
    def __call__(self, tokens_BT, positions_BT, segment_ids_BT=None, cache=None, write_BT=None):
        """Return (x_BTD after the final norm, cache)."""
        c = self.config
        part: Any = nn.with_logical_partitioning
        init = nn.initializers.normal(0.02)
        table_VD = self.param(
            "embedding", part(init, ("table", "embed")), (c.vocab_size, c.d_model)
        )
        if not c.tied:
            self.param("head", part(init, ("embed", "vocab")), (c.d_model, c.vocab_size))
        # Gathered from a whole table: the rows' sharding then follows the tokens', not the table's.
        x_BTD = nn.with_logical_constraint(table_VD, (None, None))[tokens_BT].astype(
            DTYPES[c.dtype]
        )
        x_BTD = nn.with_logical_constraint(x_BTD, ACTIVATION)
        cos, sin = rope_tables(positions_BT, c.head_dim, c.rope_theta)
        context = Context(cos, sin, positions_BT, segment_ids_BT, write_BT)
        layers = nn.scan(
            nn.remat(Layer, prevent_cse=False) if self.remat else Layer,
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "lora": True},
            in_axes=(nn.broadcast, 0),
            length=c.n_layers,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )(c, self.lora, name="layers")
        (x_BTD, cache), _ = layers((x_BTD, cache), context, jnp.arange(c.n_layers))
        return RMSNorm(c.norm_eps, name="norm")(x_BTD), cache
