"""The facade over the decoder: trees in, arrays out; nobody else sees the module system."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from duomem_jax.models.boxes import axes_of, fresh, shapes_of
from duomem_jax.models.cache import KVCache
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.decoder import Decoder
from duomem_jax.models.head import vocab_logits
from duomem_jax.models.layers import soft_cap
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.trees import AdapterTree, LogicalAxes, Params, Shapes, for_decoding
from duomem_jax.models.vision.merge import PictureFeatures


@dataclass(frozen=True)
class Model:
    """Pure functions of (base, adapter, inputs); both are plain dicts of arrays (`models.trees`).

    Without an adapter tree every call is the base model, also when `lora` is configured.

    Attributes:
        config: shape of the decoder.
        lora: shape of the adapters that calls may pass, or None.
        remat: whether a backward pass computes each layer again from its input: about a third more
            compute for the activations of one layer only.
    """

    config: ModelConfig
    lora: LoraConfig | None = None
    remat: bool = False

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.config, self.lora, self.remat)

    def _boxed(self, key: jax.Array) -> Mapping[str, Any]:
        """Fresh variables, each in a box that knows the logical names of its axes."""
        # One token as ids, positions and segments: no parameter's shape depends on them.
        tokens_BT = jnp.zeros((1, 1), jnp.int32)
        rngs = {"params": key, "lora": key}
        return fresh(self._decoder, rngs, tokens_BT, tokens_BT, tokens_BT)

    def init(self, key: jax.Array) -> Params:
        """Fresh float32 base parameters."""
        # The boxes serve `logical_axes` alone; all other code expects plain arrays.
        return nn.unbox(self._boxed(key))["params"]

    def init_lora(self, key: jax.Array) -> AdapterTree:
        """A fresh float32 adapter whose product is zero.

        Raises:
            KeyError: the model has no `lora`.
        """
        return jax.jit(lambda key: nn.unbox(self._boxed(key))["lora"])(key)  # and no base

    def logical_axes(self) -> LogicalAxes:
        """{"params": ..., "lora": ...}: per leaf a PartitionSpec of logical axis names."""
        return axes_of(_boxed_shapes(self))

    def shapes(self) -> Shapes:
        """{"params": ..., "lora": ...} trees of ShapeDtypeStruct; "lora" only if configured."""
        return shapes_of(_boxed_shapes(self))

    def with_lora(self, lora: LoraConfig | None) -> "Model":
        """The same model prepared for adapters of another shape."""
        return replace(self, lora=lora)

    def hidden(
        self,
        base: Params,
        tokens_BT: jax.Array,
        positions_BT: jax.Array,
        segment_ids_BT: jax.Array,
        lora: AdapterTree | None = None,
        *,
        adapter_B: jax.Array | None = None,
        dropout_key: jax.Array | None = None,
        pictures: PictureFeatures | None = None,
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
            pictures: what stands in the place of picture tokens; None: there are none.

        Raises:
            ValueError: `lora` is given and the model has no LoraConfig.
        """
        inputs = {
            "segment_ids_BT": segment_ids_BT,
            "adapter_B": adapter_B,
            "pictures": pictures,
        }
        x_BTD, _ = self._apply(base, lora, tokens_BT, positions_BT, inputs, dropout_key)
        return x_BTD

    def head(self, base: Params) -> Callable[[jax.Array], jax.Array]:
        """The function from activations [...,D] after the final norm to logits [...,V], float32."""
        c = self.config
        # [D,V] for a head of its own, or a tied one laid out for decoding; else the table [V,D].
        kernel, axis = (base["head"], 1) if "head" in base else (base["embedding"], 0)
        # Whole but for its words, once: a loop over chunks of tokens would gather it in each.
        names = (None, "vocab") if axis == 1 else ("vocab", None)
        kernel = nn.with_logical_constraint(kernel, names)

        def logits(x: jax.Array) -> jax.Array:
            # The head is cast, not the logits: they are float32 without a float32 copy of the head.
            y_ZV = vocab_logits(x.reshape(-1, c.d_model), kernel.astype(x.dtype), axis)
            return soft_cap(y_ZV.reshape(*x.shape[:-1], -1), c.logit_softcap)

        return logits

    def init_cache(self, batch: int, max_len: int) -> KVCache:
        """An empty cache for `batch` rows of up to `max_len` tokens (`KVCache.empty`)."""
        return KVCache.empty(self.config, batch, max_len)

    def extend(
        self,
        base: Params,
        cache: KVCache,
        tokens_BT: jax.Array,
        n_new_B: jax.Array,
        lora: AdapterTree | None = None,
        adapter_B: jax.Array | None = None,
        pictures: PictureFeatures | None = None,
    ) -> tuple[jax.Array, KVCache]:
        """Append tokens to each row of the cache, at the row's own position.

        Args:
            base: parameters, best with their layers apart (`trees.for_decoding`).
            cache: from `init_cache` or an earlier call; a row restarts when its length is 0.
            tokens_BT: int32, right padded.
            n_new_B: int32, how many of the T tokens of each row count; 0 leaves a row alone.
            lora: adapter tree, a stack of them, or None; in the form of `base`.
            adapter_B: int32, which adapter of a stack each row uses.
            pictures: what stands in the place of picture tokens among these; None: there are none.

        Returns:
            (x_BTD, cache); x is meaningful for the first `n_new_B` tokens of each row.
            Tokens past the cache's end are dropped: the caller keeps lengths below S.

        Raises:
            ValueError: `lora` is given and the model has no LoraConfig.
        """
        steps_1T = jnp.arange(tokens_BT.shape[1])[None]
        positions_BT = cache.length_B[:, None] + steps_1T
        # Padding goes to slot S, one beyond the end, where `LayerCache.append` drops it.
        slots_BT = jnp.where(steps_1T < n_new_B[:, None], positions_BT, cache.max_len)
        # Does nothing where layers lie apart already; a stack would be taken apart at every call.
        base, lora = for_decoding(base), lora and for_decoding(lora)
        inputs = {
            "cache": cache.layers,
            "slots_BT": slots_BT,
            "adapter_B": adapter_B,
            "pictures": pictures,
        }
        x_BTD, layers = self._apply(base, lora, tokens_BT, positions_BT, inputs)
        return x_BTD, KVCache(layers, cache.length_B + n_new_B)

    def _apply(
        self,
        base: Params,
        lora: AdapterTree | None,
        tokens_BT: jax.Array,
        positions_BT: jax.Array,
        inputs: dict[str, Any],
        dropout_key: jax.Array | None = None,
    ) -> Any:
        """`Decoder.__call__` with the variables that are given."""
        if lora is not None and self.lora is None:
            # Flax ignores a collection that no module reads: this would be the base, silently.
            raise ValueError("an adapter was passed to a Model without a LoraConfig")
        variables = {"params": base} if lora is None else {"params": base, "lora": lora}
        rngs = None if dropout_key is None else {"dropout": dropout_key}
        return self._decoder.apply(variables, tokens_BT, positions_BT, **inputs, rngs=rngs)


# Whoever loads a model asks for its shapes more than once, and tracing the decoder takes longer
# than reading a small model's weights.
@lru_cache(maxsize=64)
def _boxed_shapes(model: Model) -> Any:
    return jax.eval_shape(lambda: model._boxed(jax.random.key(0)))
