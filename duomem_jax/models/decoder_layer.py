"""One layer of the decoder: attention over a packed row or a cache, then a gated feed-forward."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.models.attention import packed_attention
from duomem_jax.models.cache import LayerCache
from duomem_jax.models.cached import cached_attention
from duomem_jax.models.config import ACTIVATIONS, ModelConfig
from duomem_jax.models.layers import Projection, RMSNorm
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.rope import Rotation, rotate
from duomem_jax.models.scores import ScoreRule

ACTIVATION = ("batch", None, None)  # logical axes of x_BTD


class Context(NamedTuple):
    """What every layer of one call shares.

    Attributes:
        rotation: cos and sin of the tokens' positions.
        local_rotation: those of sliding layers, where these rotate at their own speed.
        positions_BT: int32, of each token in its segment or row.
        segment_ids_BT: of packed rows; None with a cache.
        slots_BT: int32, the cache slot that each new token goes to; None without a cache.
        adapter_B: int32, which of several stacked adapters a row uses; None where there is one.
    """

    rotation: Rotation
    local_rotation: Rotation | None
    positions_BT: jax.Array
    segment_ids_BT: jax.Array | None = None
    slots_BT: Any = None
    adapter_B: jax.Array | None = None


# Whether a layer sees its window only: known where layers lie apart, traced where they are scanned.
Sliding = bool | jax.Array


class Attention(nn.Module):
    """Grouped-query attention over a packed row, or over one layer of a cache."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(
        self, x_BTD: jax.Array, context: Context, cache: LayerCache | None, sliding: Sliding
    ) -> tuple[jax.Array, LayerCache | None]:
        """Return (o_BTD, the cache with these tokens); without a cache tokens see their row."""
        q_BTNH, k_BTKH, v_BTKH = self._heads(x_BTD, context, sliding)
        if cache is None:
            o_BTNH = self._over_row(q_BTNH, k_BTKH, v_BTKH, context, sliding)
        else:
            # Written first, then read: a new token sees itself and the new ones before it.
            cache = cache.append(k_BTKH, v_BTKH, context.slots_BT)
            o_BTNH = self._over_cache(q_BTNH, cache, context, sliding)
        out = Projection(self.config.d_model, ("heads", "embed"), self.lora, name="o_proj")
        return out(o_BTNH.reshape(*x_BTD.shape[:2], -1), context.adapter_B), cache

    def _heads(
        self, x_BTD: jax.Array, context: Context, sliding: Sliding
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """q_BTNH, k_BTKH and v_BTKH; queries and keys normed where the family does, and rotated."""
        c = self.config
        q_BTNH = self._project("q_proj", c.n_heads, x_BTD, context.adapter_B)
        k_BTKH = self._project("k_proj", c.n_kv_heads, x_BTD, context.adapter_B)
        v_BTKH = self._project("v_proj", c.n_kv_heads, x_BTD, context.adapter_B)
        # Over the H entries of each head, before the rotation, as in the Hugging Face models.
        if c.qk_norm:
            q_BTNH = RMSNorm(c.norm_eps, c.unit_offset, name="q_norm")(q_BTNH)
            k_BTKH = RMSNorm(c.norm_eps, c.unit_offset, name="k_norm")(k_BTKH)
        rotation = context.rotation
        if context.local_rotation is not None:
            # In a scan `sliding` is traced: both tables exist, and each layer selects one.
            rotation = jax.tree.map(
                lambda local, wide: jnp.where(sliding, local, wide),
                context.local_rotation,
                context.rotation,
            )
        return rotate(q_BTNH, rotation), rotate(k_BTKH, rotation), v_BTKH

    def _project(self, name: str, n: int, x_BTD: jax.Array, adapter_B: Any) -> jax.Array:
        """[B,T,n,H] of one of the three projections."""
        c = self.config
        dense = Projection(n * c.head_dim, ("embed", "heads"), self.lora, c.attn_bias, name=name)
        return dense(x_BTD, adapter_B).reshape(*x_BTD.shape[:2], n, c.head_dim)

    def _over_row(self, q_BTNH, k_BTKH, v_BTKH, context: Context, sliding: Sliding) -> jax.Array:
        args = q_BTNH, k_BTKH, v_BTKH, context.segment_ids_BT
        return self._by_rule(sliding, packed_attention, *args)

    def _over_cache(
        self, q_BTNH, cache: LayerCache, context: Context, sliding: Sliding
    ) -> jax.Array:
        args = q_BTNH, cache.keys(), cache.values(), context.positions_BT
        return self._by_rule(sliding, cached_attention, *args)

    def _by_rule(
        self, sliding: Sliding, attention: Callable[..., jax.Array], *args: Any
    ) -> jax.Array:
        """`attention(rule, *args)` with the rule of a layer."""
        c = self.config
        wide = ScoreRule(c.query_scale or c.head_dim**-0.5, c.attn_softcap)
        if not any(c.sliding):
            return attention(wide, *args)
        near = wide._replace(window=c.window)
        # Layers that lie apart know their kind while they are traced, and compile it alone.
        if isinstance(sliding, bool):
            return attention(near if sliding else wide, *args)
        # A scan has one body for all layers: both kinds are compiled, and each layer picks its own.
        return jax.lax.cond(sliding, lambda: attention(near, *args), lambda: attention(wide, *args))


class GatedMlp(nn.Module):
    """down(act(gate(x)) * up(x))."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(self, x_BTD: jax.Array, adapter_B: jax.Array | None = None) -> jax.Array:
        """Return x_BTD."""
        c = self.config
        gate = Projection(c.d_ff, ("embed", "mlp"), self.lora, name="gate_proj")
        up = Projection(c.d_ff, ("embed", "mlp"), self.lora, name="up_proj")
        h_BTF = ACTIVATIONS[c.activation](gate(x_BTD, adapter_B)) * up(x_BTD, adapter_B)
        h_BTF = nn.with_logical_constraint(h_BTF, ("batch", None, "mlp"))
        down = Projection(c.d_model, ("mlp", "embed"), self.lora, name="down_proj")
        return down(h_BTF, adapter_B)


class Layer(nn.Module):
    """One pre-norm layer, in the form `nn.scan` wants: carry in, carry out."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(
        self,
        x_BTD: jax.Array,
        context: Context,
        sliding: Sliding,
        cache: LayerCache | None = None,
    ) -> tuple[jax.Array, LayerCache | None]:
        """Return (x_BTD, the cache of this layer with the new tokens)."""
        c = self.config

        def norm(name: str, x_BTD: jax.Array) -> jax.Array:
            return RMSNorm(c.norm_eps, c.unit_offset, name=name)(x_BTD)

        h_BTD = norm("input_layernorm", x_BTD)
        h_BTD, cache = Attention(c, self.lora, name="self_attn")(h_BTD, context, cache, sliding)
        # Gemma norms what a block adds, too, before it joins the residual stream.
        if c.post_norms:
            h_BTD = norm("post_attention_layernorm", h_BTD)
        x_BTD = nn.with_logical_constraint(x_BTD + h_BTD, ACTIVATION)
        # Gemma's norm after attention has the name of the others' norm before the feed-forward.
        before = "pre_feedforward_layernorm" if c.post_norms else "post_attention_layernorm"
        h_BTD = GatedMlp(c, self.lora, name="mlp")(norm(before, x_BTD), context.adapter_B)
        if c.post_norms:
            h_BTD = norm("post_feedforward_layernorm", h_BTD)
        return nn.with_logical_constraint(x_BTD + h_BTD, ACTIVATION), cache
