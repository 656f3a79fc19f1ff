"""Keys and values of tokens already read: the only module that knows how they lie.

Keys lie as [B,K,H,S] and values as [B,K,S,H], each as the product that reads it wants it, so that
a step transposes nothing. Slot s of a row holds the token at position s. What lies at or beyond a
row's length is left over and never seen: to take tokens back, lower the length.
"""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from duomem_jax.models.axes import mesh_axes, parts
from duomem_jax.models.config import DTYPES, ModelConfig


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LayerCache:
    """Keys and values of one layer.

    Attributes:
        k_BKHS: keys, rotated.
        v_BKSH: values.
    """

    k_BKHS: jax.Array
    v_BKSH: jax.Array

    @classmethod
    def empty(cls, config: ModelConfig, batch: int, max_len: int) -> "LayerCache":
        """Zeros for `batch` rows of up to `max_len` tokens, in the dtype of the activations."""
        K, H, dtype = config.n_kv_heads, config.head_dim, DTYPES[config.dtype]
        k_BKHS = jnp.zeros((batch, K, H, max_len), dtype)
        return cls(k_BKHS, jnp.zeros((batch, K, max_len, H), dtype))

    def append(self, k_BTKH: jax.Array, v_BTKH: jax.Array, slots_BT: jax.Array) -> "LayerCache":
        """The cache with new tokens in the slots named; a slot >= S drops its token."""
        rows_B1 = jnp.arange(len(slots_BT))[:, None]
        # Indices on both sides of a slice put their own axes first: the places in k are [B,T,K,H].
        return LayerCache(
            self.k_BKHS.at[rows_B1, :, :, slots_BT].set(k_BTKH, mode="drop"),
            self.v_BKSH.at[rows_B1, :, slots_BT].set(v_BTKH, mode="drop"),
        )

    def keys(self) -> jax.Array:
        """k_BKHS as attention multiplies them."""
        return self.k_BKHS

    def values(self) -> jax.Array:
        """v_BKSH as attention multiplies them."""
        return self.v_BKSH

    def rows(self, rows_B: jax.Array, keys: int) -> "LayerCache":
        """The first `keys` slots of some rows; a row out of range gives the nearest one's."""
        return LayerCache(
            self.k_BKHS.at[rows_B, :, :, :keys].get(mode="clip"),
            self.v_BKSH.at[rows_B, :, :keys].get(mode="clip"),
        )

    def put_rows(self, rows_B: jax.Array, part: "LayerCache") -> "LayerCache":
        """The cache with `part`, as from `rows`, back in its rows; one out of range is dropped."""
        keys = part.k_BKHS.shape[3]
        return LayerCache(
            self.k_BKHS.at[rows_B, :, :, :keys].set(part.k_BKHS, mode="drop"),
            self.v_BKSH.at[rows_B, :, :keys].set(part.v_BKSH, mode="drop"),
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class KVCache:
    """What a model has read in each of B rows.

    Attributes:
        layers: keys and values, one entry a layer.
        length_B: int32, tokens that each row holds.
    """

    layers: tuple[LayerCache, ...]
    length_B: jax.Array

    @classmethod
    def empty(cls, config: ModelConfig, batch: int, max_len: int) -> "KVCache":
        """A cache without tokens, for `batch` rows of up to `max_len` of them."""
        layers = (LayerCache.empty(config, batch, max_len) for _ in range(config.n_layers))
        return cls(tuple(layers), jnp.zeros(batch, jnp.int32))

    @property
    def max_len(self) -> int:
        """S, tokens a row may hold."""
        return self.layers[0].k_BKHS.shape[3]

    def with_length(self, length_B: jax.Array) -> "KVCache":
        """The same keys and values, of which each row counts so many."""
        return dataclasses.replace(self, length_B=length_B)

    def shardings(self, mesh: Mesh) -> "KVCache":
        """A NamedSharding for each array, where `mesh` and its axis rules are current.

        Rows lie like a batch's; key heads like query heads, where their number can be divided.
        """
        rows, heads = mesh_axes("batch", "heads")

        def place(leaf: jax.Array) -> NamedSharding:
            # Lengths have no axis of heads; heads that cannot be divided lie whole on every device.
            split = leaf.ndim > 1 and leaf.shape[1] % parts("heads") == 0
            return NamedSharding(mesh, PartitionSpec(rows, heads) if split else PartitionSpec(rows))

        return jax.tree.map(place, self)
