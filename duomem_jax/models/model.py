"""The facade over the decoder: trees in, arrays out; nobody else sees the module system."""

from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.lora.config import LoraConfig
from duomem_jax.models.config import DTYPES, ModelConfig
from duomem_jax.models.decoder import Decoder


@dataclass(frozen=True)
class Model:
    """Pure functions of (base, adapter, inputs); both are plain dicts of arrays.

    Without an adapter tree every call is the base model, also when `lora` is configured.
    """

    config: ModelConfig
    lora: LoraConfig | None = None
    remat: bool = False  # trade about a third more compute for activations of one layer only

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.config, self.lora, self.remat)

    def _boxed(self, key: jax.Array):
        tokens_BT = jnp.zeros((1, 1), jnp.int32)
        rngs = {"params": key, "lora": key}
        return self._decoder.init(rngs, tokens_BT, tokens_BT, tokens_BT)

    def init(self, key: jax.Array) -> dict:
        """Fresh float32 base parameters."""
        return nn.unbox(self._boxed(key))["params"]

    def init_lora(self, key: jax.Array) -> dict:
        """A fresh float32 adapter whose product is zero; needs `lora`."""
        return nn.unbox(self._boxed(key))["lora"]

    def logical_axes(self) -> dict:
        """{"params": ..., "lora": ...}: per leaf a PartitionSpec of logical axis names."""
        return nn.get_partition_spec(jax.eval_shape(self._boxed, jax.random.key(0)))

    def shapes(self) -> dict:
        """{"params": ..., "lora": ...} trees of ShapeDtypeStruct, unboxed."""
        return jax.eval_shape(lambda key: nn.unbox(self._boxed(key)), jax.random.key(0))

    def with_lora(self, lora: LoraConfig | None) -> "Model":
        """The same model prepared for adapters of another shape."""
        return replace(self, lora=lora)

    def hidden(self, base, tokens_BT, positions_BT, segment_ids_BT, lora=None) -> jax.Array:
        """x_BTD after the final norm; each token sees its own segment up to itself.

        Args:
            base: parameters as `init` or `load_pretrained` gives them.
            tokens_BT: int32.
            positions_BT: int32, restarting in each segment.
            segment_ids_BT: integer; tokens with different ids do not see each other.
            lora: adapter tree, or None for the base model.
        """
        return self._apply(base, lora, tokens_BT, positions_BT, segment_ids_BT)[0]

    def head(self, base) -> jax.Array:
        """kernel_DV: logits are x_BTD @ kernel_DV."""
        return base["embedding"].T if self.config.tied else base["head"]

    def init_cache(self, batch: int, max_len: int, dtype: str | None = None) -> dict:
        """An empty cache {"k", "v": [L,B,S,K,H], "length": int32[B]} with S = `max_len`."""
        c = self.config
        shape = (c.n_layers, batch, max_len, c.n_kv_heads, c.head_dim)
        kind = DTYPES[dtype or c.dtype]
        return {
            "k": jnp.zeros(shape, kind),
            "v": jnp.zeros(shape, kind),
            "length": jnp.zeros(batch, jnp.int32),
        }

    def extend(self, base, cache, tokens_BT, n_new_B, lora=None) -> tuple[jax.Array, dict]:
        """Append tokens to each row of the cache, at the row's own position.

        Args:
            base: parameters.
            cache: from `init_cache` or an earlier call; a row restarts when its length is 0.
            tokens_BT: int32, right padded.
            n_new_B: int32, how many of the T tokens of each row count; 0 leaves a row alone.
            lora: adapter tree or None.

        Returns:
            (x_BTD, cache); x is meaningful for the first `n_new_B` tokens of each row.
            Tokens past the cache's end are dropped: the caller keeps lengths below S.
        """
        S, T = cache["k"].shape[2], tokens_BT.shape[1]
        steps_1T = jnp.arange(T)[None]
        positions_BT = cache["length"][:, None] + steps_1T
        write_BT = jnp.where(steps_1T < n_new_B[:, None], positions_BT, S)
        stores = {"k": cache["k"], "v": cache["v"]}
        x_BTD, stores = self._apply(base, lora, tokens_BT, positions_BT, None, stores, write_BT)
        return x_BTD, {**stores, "length": cache["length"] + n_new_B}

    def _apply(self, base, lora, *args):
        if lora is not None and self.lora is None:
            raise ValueError("an adapter was passed to a Model without a LoraConfig")
        variables = {"params": base} if lora is None else {"params": base, "lora": lora}
        return self._decoder.apply(variables, *args)
