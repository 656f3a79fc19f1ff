"""One decoder for every family: pre-norm, grouped-query attention, gated feed-forward.

Parameters live in the 'params' collection and adapters in 'lora', with matching paths and
the layers stacked on a leading axis L:

    params: embedding [V,D], layers/self_attn/q_proj/kernel [L,D,N*H], ..., norm/scale [D]
    lora:   layers/self_attn/q_proj/{a [L,D,R], b [L,R,N*H]}, ...

Training scans over that axis. With a cache each layer has trees of its own (`layers_0`, ..., see
`for_decoding`): a scan would copy every kernel, and all keys and values, at every token.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.models.attention import packed_attention
from duomem_jax.models.cached import cached_attention
from duomem_jax.models.config import ACTIVATIONS, DTYPES, ModelConfig
from duomem_jax.models.layers import KEEP_PRODUCTS, Projection, RMSNorm
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.platform import platform
from duomem_jax.models.rope import rope_tables, rotate
from duomem_jax.models.scores import Scores

ACTIVATION = ("batch", None, None)  # logical axes of x_BTD


class Context(NamedTuple):
    """What every layer of one call shares."""

    rope: Any  # (cos, sin), each float32 [B,T,1,H/2]
    local_rope: Any  # the same for sliding layers, or None
    positions: Any  # int32 [B,T]
    segment_ids: Any = None  # [B,T], packed rows
    write: Any = None  # [B,T] cache slot each new token goes to; S (out of range) drops it
    adapter: Any = None  # int32 [B], which of several stacked adapters a row uses


def for_decoding(tree: Any) -> Any:
    """A tree of parameters or adapters as steps with a cache read it best; done at most once.

    Each layer lies apart. On a CPU a tied head lies as an untied one would, [D,V], in place of the
    table: a few rows times it are then as fast as the memory, else three times slower.
    """
    if "layers" not in tree:
        return tree
    rest = {name: child for name, child in tree.items() if name != "layers"}
    if platform() == "cpu" and "embedding" in rest and "head" not in rest:
        rest["head"] = rest.pop("embedding").T
    stacks = tree["layers"]
    n_layers = len(jax.tree.leaves(stacks)[0])
    apart = (jax.tree.map(operator.itemgetter(i), stacks) for i in range(n_layers))
    return rest | {f"layers_{i}": layer for i, layer in enumerate(apart)}


def attend(config: ModelConfig, sliding: Any, attention: Callable[[Scores], Any]) -> Any:
    """`attention` with the scores of a layer; a scan compiles both kinds where a model has both."""
    c = config
    scores = Scores(c.query_scale or c.head_dim**-0.5, c.attn_softcap)
    near = scores._replace(window=c.window)
    if isinstance(sliding, bool) or not any(c.sliding):
        return attention(near if any(c.sliding) and sliding else scores)
    return jax.lax.cond(sliding, lambda: attention(near), lambda: attention(scores))


class Attention(nn.Module):
    """Grouped-query attention over a packed row, or over one layer of a cache."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(self, x_BTD, context: Context, cache, sliding):
        """Return (o_BTD, cache); `cache` is None or this layer's (k_BKHS, v_BKSH)."""
        c = self.config
        q_BTNH = self._heads("q_proj", c.n_heads)(x_BTD, context.adapter)
        k_BTKH = self._heads("k_proj", c.n_kv_heads)(x_BTD, context.adapter)
        v_BTKH = self._heads("v_proj", c.n_kv_heads)(x_BTD, context.adapter)
        if c.qk_norm:
            q_BTNH = RMSNorm(c.norm_eps, c.unit_offset, name="q_norm")(q_BTNH)
            k_BTKH = RMSNorm(c.norm_eps, c.unit_offset, name="k_norm")(k_BTKH)
        rope = context.rope
        if c.local_rope is not None:
            pick = functools.partial(jnp.where, sliding)
            rope = jax.tree.map(pick, context.local_rope, context.rope)
        q_BTNH, k_BTKH = (rotate(x, *rope) for x in (q_BTNH, k_BTKH))
        if cache is None:
            seg = context.segment_ids
            o_BTNH = attend(
                c, sliding, lambda how: packed_attention(how, q_BTNH, k_BTKH, v_BTKH, seg)
            )
        else:
            at, rows_B1, every = context.write, jnp.arange(x_BTD.shape[0])[:, None], slice(None)
            places = (rows_B1, every, every, at), (rows_B1, every, at)
            cache = tuple(
                held.at[place].set(new.astype(held.dtype), mode="drop")
                for held, place, new in zip(cache, places, (k_BTKH, v_BTKH), strict=True)
            )
            k_BKHS, v_BKSH = (held.astype(x_BTD.dtype) for held in cache)
            positions = context.positions
            o_BTNH = attend(
                c, sliding, lambda how: cached_attention(how, q_BTNH, k_BKHS, v_BKSH, positions)
            )
        o_BTE = o_BTNH.reshape(*x_BTD.shape[:2], -1)
        out = Projection(c.d_model, ("heads", "embed"), self.lora, name="o_proj")
        return out(o_BTE, context.adapter), cache

    def _heads(self, name: str, n: int):
        c = self.config
        dense = Projection(n * c.head_dim, ("embed", "heads"), self.lora, c.attn_bias, name=name)
        return lambda x_BTD, adapter_B: dense(x_BTD, adapter_B).reshape(
            *x_BTD.shape[:2], n, c.head_dim
        )


class GatedMlp(nn.Module):
    """down(act(gate(x)) * up(x))."""

    config: ModelConfig
    lora: LoraConfig | None

    @nn.compact
    def __call__(self, x_BTD, adapter_B=None):
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
    def __call__(self, x_BTD, context: Context, sliding, cache=None):
        """Return (x_BTD, cache of this layer)."""
        c = self.config

        def norm(name: str, x_BTD):
            return RMSNorm(c.norm_eps, c.unit_offset, name=name)(x_BTD)

        h_BTD = norm("input_layernorm", x_BTD)
        h_BTD, cache = Attention(c, self.lora, name="self_attn")(h_BTD, context, cache, sliding)
        if c.post_norms:
            h_BTD = norm("post_attention_layernorm", h_BTD)
        x_BTD = nn.with_logical_constraint(x_BTD + h_BTD, ACTIVATION)
        before = "pre_feedforward_layernorm" if c.post_norms else "post_attention_layernorm"
        h_BTD = GatedMlp(c, self.lora, name="mlp")(norm(before, x_BTD), context.adapter)
        if c.post_norms:
            h_BTD = norm("post_feedforward_layernorm", h_BTD)
        return nn.with_logical_constraint(x_BTD + h_BTD, ACTIVATION), cache


class Decoder(nn.Module):
    """Tokens to final hidden states; the head is applied by whoever needs logits."""

    config: ModelConfig
    lora: LoraConfig | None = None
    remat: bool = False  # keep only each layer's input for the backward pass

    @nn.compact
    def __call__(
        self,
        tokens_BT,
        positions_BT,
        segment_ids_BT=None,
        cache=None,
        write_BT=None,
        adapter_B=None,
    ):
        """Return (x_BTD after the final norm, cache): one pair of arrays a layer, or None."""
        c = self.config
        part: Any = nn.with_logical_partitioning
        init = nn.initializers.normal(0.02)
        tied_head = c.tied and self.has_variable("params", "head")  # see `for_decoding`
        if tied_head or not c.tied:
            head = part(init, ("embed", "vocab"))
            head_DV = self.param("head", head, (c.d_model, c.vocab_size))
        if tied_head:
            x_BTD = jnp.moveaxis(head_DV[:, tokens_BT], 0, -1)
        else:
            table = part(init, ("table", "embed"))
            table_VD = self.param("embedding", table, (c.vocab_size, c.d_model))
            # From a whole table: the rows' sharding then follows the tokens', not the table's.
            x_BTD = nn.with_logical_constraint(table_VD, (None, None))[tokens_BT]
        x_BTD = x_BTD.astype(DTYPES[c.dtype])
        if c.embed_scale:
            x_BTD *= jnp.asarray(c.d_model**0.5, x_BTD.dtype)  # rounded like the reference's
        x_BTD = nn.with_logical_constraint(x_BTD, ACTIVATION)
        rope, local_rope = (
            r and rope_tables(positions_BT, r, c.head_dim) for r in (c.rope, c.local_rope)
        )
        context = Context(rope, local_rope, positions_BT, segment_ids_BT, write_BT, adapter_B)
        sliding = c.sliding or (False,) * c.n_layers
        if cache is None:
            layers = nn.scan(
                nn.remat(Layer, prevent_cse=False, policy=None if self.remat else KEEP_PRODUCTS),
                variable_axes={"params": 0, "lora": 0},
                split_rngs={"params": True, "lora": True, "dropout": True},
                in_axes=(nn.broadcast, 0),
                length=c.n_layers,
                metadata_params={nn.PARTITION_NAME: "layers"},
            )(c, self.lora, name="layers")
            x_BTD, _ = layers(x_BTD, context, jnp.array(sliding))
        else:
            held = list(cache)
            for i in range(c.n_layers):
                layer = Layer(c, self.lora, name=f"layers_{i}")
                x_BTD, held[i] = layer(x_BTD, context, sliding[i], held[i])
            cache = tuple(held)
        return RMSNorm(c.norm_eps, c.unit_offset, name="norm")(x_BTD), cache
