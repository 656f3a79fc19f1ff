"""The facade over the decoder: trees in, arrays out; nobody else sees the module system."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.models.config import DTYPES, ModelConfig
from duomem_jax.models.decoder import Decoder, for_decoding
from duomem_jax.models.head import vocab_logits
from duomem_jax.models.layers import soft_cap
from duomem_jax.models.lora import LoraConfig


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
        with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ())):
            return self._decoder.init(rngs, tokens_BT, tokens_BT, tokens_BT)

    def init(self, key: jax.Array) -> dict:
        """Fresh float32 base parameters."""
        return nn.unbox(self._boxed(key))["params"]

    def init_lora(self, key: jax.Array) -> dict:
        """A fresh float32 adapter whose product is zero; needs `lora`."""
        return jax.jit(lambda key: nn.unbox(self._boxed(key))["lora"])(key)  # and no base

    def logical_axes(self) -> dict:
        """{"params": ..., "lora": ...}: per leaf a PartitionSpec of logical axis names."""
        return nn.get_partition_spec(jax.eval_shape(lambda: self._boxed(jax.random.key(0))))

    def shapes(self) -> dict:
        """{"params": ..., "lora": ...} trees of ShapeDtypeStruct, unboxed."""
        return jax.eval_shape(lambda: nn.unbox(self._boxed(jax.random.key(0))))

    def with_lora(self, lora: LoraConfig | None) -> "Model":
        """The same model prepared for adapters of another shape."""
        return replace(self, lora=lora)

    def hidden(
        self,
        base,
        tokens_BT,
        positions_BT,
        segment_ids_BT,
        lora=None,
        *,
        adapter_B=None,
        dropout_key=None,
    ) -> jax.Array:
        """x_BTD after the final norm; each token sees its own segment up to itself.

        Args:
            base: parameters as `init` or `load_pretrained` gives them.
            tokens_BT: int32.
            positions_BT: int32, restarting in each segment.
            segment_ids_BT: integer; tokens with different ids do not see each other.
            lora: adapter tree, a stack of them (`lora.tree.stack`), or None for the base model.
            adapter_B: int32, which adapter of a stack each row uses.
            dropout_key: what the adapter drops while training; None: nothing.
        """
        args = tokens_BT, positions_BT, segment_ids_BT, None, None, adapter_B
        return self._apply(base, lora, *args, dropout_key=dropout_key)[0]

    def head(self, base) -> Callable[[jax.Array], jax.Array]:
        """The function from x_...D after the final norm to logits_...V, float32."""
        c = self.config
        kernel, axis = (base["head"], 1) if "head" in base else (base["embedding"], 0)
        # Whole but for its words, once: a loop over chunks of tokens would gather it in each.
        kernel = nn.with_logical_constraint(kernel, ("vocab", None)[:: 1 - 2 * axis])

        def logits(x: jax.Array) -> jax.Array:
            y_MV = vocab_logits(x.reshape(-1, c.d_model), kernel.astype(x.dtype), axis)
            return soft_cap(y_MV.reshape(*x.shape[:-1], -1), c.logit_softcap)

        return logits

    def init_cache(self, batch: int, max_len: int, dtype: str | None = None) -> dict:
        """An empty cache {"layers": L pairs (k [B,K,H,S], v [B,K,S,H]), "length": int32 [B]}.

        S is `max_len`; keys and values lie as their products read them, so nothing is transposed.
        """
        c, kind = self.config, DTYPES[dtype or self.config.dtype]
        K, H = c.n_kv_heads, c.head_dim

        def empty(_: int) -> tuple[jax.Array, jax.Array]:
            k_BKHS = jnp.zeros((batch, K, H, max_len), kind)
            return k_BKHS, jnp.zeros((batch, K, max_len, H), kind)

        return {
            "layers": tuple(map(empty, range(c.n_layers))),
            "length": jnp.zeros(batch, jnp.int32),
        }

    def extend(
        self, base, cache, tokens_BT, n_new_B, lora=None, adapter_B=None
    ) -> tuple[jax.Array, dict]:
        """Append tokens to each row of the cache, at the row's own position.

        Args:
            base: parameters, best with their layers apart (`decoder.for_decoding`).
            cache: from `init_cache` or an earlier call; a row restarts when its length is 0.
            tokens_BT: int32, right padded.
            n_new_B: int32, how many of the T tokens of each row count; 0 leaves a row alone.
            lora: adapter tree, a stack of them, or None; in the form of `base`.
            adapter_B: int32, which adapter of a stack each row uses.

        Returns:
            (x_BTD, cache); x is meaningful for the first `n_new_B` tokens of each row.
            Tokens past the cache's end are dropped: the caller keeps lengths below S.
        """
        S, T = cache["layers"][0][0].shape[3], tokens_BT.shape[1]
        steps_1T = jnp.arange(T)[None]
        positions_BT = cache["length"][:, None] + steps_1T
        write_BT = jnp.where(steps_1T < n_new_B[:, None], positions_BT, S)
        base, lora = for_decoding(base), lora and for_decoding(lora)
        args = tokens_BT, positions_BT, None, cache["layers"], write_BT, adapter_B
        x_BTD, layers = self._apply(base, lora, *args)
        return x_BTD, {"layers": layers, "length": cache["length"] + n_new_B}

    def _apply(self, base, lora, *args, dropout_key=None):
        if lora is not None and self.lora is None:
            raise ValueError("an adapter was passed to a Model without a LoraConfig")
        variables = {"params": base} if lora is None else {"params": base, "lora": lora}
        rngs = None if dropout_key is None else {"dropout": dropout_key}
        return self._decoder.apply(variables, *args, rngs=rngs)
