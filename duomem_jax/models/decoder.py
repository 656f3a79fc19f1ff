"""One decoder for every family: pre-norm, grouped-query attention, gated feed-forward.

Parameters live in the 'params' collection and adapters in 'lora', with matching paths and
the layers stacked on a leading axis L:

    params: embedding [V,D], layers/self_attn/q_proj/kernel [L,D,N*H], ..., norm/scale [D]
    lora:   layers/self_attn/q_proj/{a [L,D,R], b [L,R,N*H]}, ...

Training scans over that axis: one layer is compiled, whatever their number. With a cache each layer
has trees of its own (`layers_0`, ..., see `trees.for_decoding`): a scan would copy every kernel,
and all keys and values, at every token.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.models.cache import LayerCache
from duomem_jax.models.config import DTYPES, ModelConfig
from duomem_jax.models.decoder_layer import ACTIVATION, Context, Layer
from duomem_jax.models.layers import KEEP_PRODUCTS, RMSNorm, partitioned
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.rope import rope_tables
from duomem_jax.models.trees import layer_name
from duomem_jax.models.vision.merge import PictureFeatures


class Decoder(nn.Module):
    """Tokens to final hidden states; the head is applied by whoever needs logits."""

    config: ModelConfig
    lora: LoraConfig | None = None
    remat: bool = False  # keep only each layer's input for the backward pass

    @nn.compact
    def __call__(
        self,
        tokens_BT: jax.Array,
        positions_BT: jax.Array,
        segment_ids_BT: jax.Array | None = None,
        cache: tuple[LayerCache, ...] | None = None,
        slots_BT: jax.Array | None = None,
        adapter_B: jax.Array | None = None,
        pictures: PictureFeatures | None = None,
    ) -> tuple[jax.Array, tuple[LayerCache, ...] | None]:
        """Return (x_BTD after the final norm, the cache with the new tokens, or None)."""
        c = self.config
        x_BTD = self._embed(tokens_BT)
        if pictures is not None:
            x_BTD = pictures.into(x_BTD)
        x_BTD = nn.with_logical_constraint(x_BTD, ACTIVATION)
        # Once for all layers: inside the scan each layer would make its own again.
        rotation = rope_tables(positions_BT, c.rope, c.head_dim)
        local = None
        if c.local_rope is not None:
            local = rope_tables(positions_BT, c.local_rope, c.head_dim)
        context = Context(rotation, local, positions_BT, segment_ids_BT, slots_BT, adapter_B)
        if cache is None:
            x_BTD = self._scan(x_BTD, context)
        else:
            x_BTD, cache = self._each(x_BTD, context, cache)
        return RMSNorm(c.norm_eps, c.unit_offset, name="norm")(x_BTD), cache

    def _embed(self, tokens_BT: jax.Array) -> jax.Array:
        """x_BTD, the embeddings of the tokens; a head of its own is declared here too."""
        c, init = self.config, nn.initializers.normal(0.02)
        tied_head = c.tied and self.has_variable("params", "head")  # see `trees.for_decoding`
        if tied_head or not c.tied:
            head = partitioned(init, "embed", "vocab")
            head_DV: Any = self.param("head", head, (c.d_model, c.vocab_size))
        if tied_head:
            # Tokens pick columns here: the gather gives [D,B,T].
            x_BTD = jnp.moveaxis(head_DV[:, tokens_BT], 0, -1)
        else:
            table = partitioned(init, "table", "embed")
            table_VD: Any = self.param("embedding", table, (c.vocab_size, c.d_model))
            # From a whole table: the rows' sharding then follows the tokens', not the table's.
            x_BTD = nn.with_logical_constraint(table_VD, (None, None))[tokens_BT]
        x_BTD = x_BTD.astype(DTYPES[c.dtype])
        if c.embed_scale:
            x_BTD *= jnp.asarray(c.d_model**0.5, x_BTD.dtype)  # rounded like the reference's
        return x_BTD

    def _scan(self, x_BTD: jax.Array, context: Context) -> jax.Array:
        """x_BTD through all layers, whose parameters are stacked."""
        c = self.config
        layers = nn.scan(
            # A scan's body is not merged with its own forward pass: CSE need not be prevented.
            nn.remat(Layer, prevent_cse=False, policy=None if self.remat else KEEP_PRODUCTS),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "lora": True, "dropout": True},
            # `context` is the same for every layer; `sliding` has one entry for each.
            in_axes=(nn.broadcast, 0),
            length=c.n_layers,
            # The name that the boxes of all parameters give their new leading axis.
            metadata_params={nn.PARTITION_NAME: "layers"},
        )(c, self.lora, name="layers")
        return layers(x_BTD, context, jnp.array(self._sliding))[0]

    def _each(
        self, x_BTD: jax.Array, context: Context, cache: tuple[LayerCache, ...]
    ) -> tuple[jax.Array, tuple[LayerCache, ...]]:
        """x_BTD through one layer after another, whose parameters lie apart."""
        # Nothing is differentiated with a cache, so no layer is rematerialised here.
        held: list[Any] = list(cache)
        for i, sliding in enumerate(self._sliding):
            layer = Layer(self.config, self.lora, name=layer_name(i))
            x_BTD, held[i] = layer(x_BTD, context, sliding, held[i])
        return x_BTD, tuple(held)

    @property
    def _sliding(self) -> tuple[bool, ...]:
        return self.config.sliding or (False,) * self.config.n_layers
