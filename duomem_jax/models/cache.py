"""Keys and values of tokens already read: the only module that knows how they lie.

Keys lie as [B,K,H,S] and values as [B,K,S,H], each as the product that reads it wants it, so that
a step transposes nothing. Slot s of a row holds the token at position s. What lies at or beyond a
row's length is left over and never seen: to take tokens back, lower the length.

Between calls many rows lie in pages of few tokens each, so that a row has room for what it holds
and not for what it may hold one day.
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


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LayerPages:
    """Keys and values of one layer in n pages of J tokens, which rows take as they grow.

    Attributes:
        k_nKHJ: keys, rotated.
        v_nKJH: values.
    """

    k_nKHJ: jax.Array
    v_nKJH: jax.Array

    @classmethod
    def empty(cls, config: ModelConfig, pages: int, tokens: int) -> "LayerPages":
        """So many pages of `tokens` zeros each, in the dtype of the activations."""
        K, H, dtype = config.n_kv_heads, config.head_dim, DTYPES[config.dtype]
        return cls(jnp.zeros((pages, K, H, tokens), dtype), jnp.zeros((pages, K, tokens, H), dtype))

    def grown(self, count: int) -> "LayerPages":
        """The pages, and empty ones behind them, `count` in all."""
        return jax.tree.map(
            lambda x: jnp.pad(x, [(0, count - len(x)), (0, 0), (0, 0), (0, 0)]), self
        )

    def gather(self, pages_Bn: jax.Array) -> LayerCache:
        """The named pages of each row, one behind the other; one out of range gives the last."""
        B, (_, K, H, _) = len(pages_Bn), self.k_nKHJ.shape
        k_BnKHJ = self.k_nKHJ.at[pages_Bn].get(mode="clip")
        v_BnKJH = self.v_nKJH.at[pages_Bn].get(mode="clip")
        return LayerCache(
            jnp.moveaxis(k_BnKHJ, 1, 3).reshape(B, K, H, -1),
            jnp.moveaxis(v_BnKJH, 1, 2).reshape(B, K, -1, H),
        )

    def put(self, pages_Bn: jax.Array, first_B: jax.Array, part: LayerCache) -> "LayerPages":
        """The pages with some of `part`, as from `gather`, back in them.

        Args:
            pages_Bn: where to put n pages of each row; one out of range is dropped.
            first_B: which page of its row the first of them is.
            part: keys and values of the rows.
        """
        B, K, H, _ = part.k_BKHS.shape
        J = self.k_nKHJ.shape[3]
        rows_B1 = jnp.arange(B)[:, None]
        at_Bn = first_B[:, None] + jnp.arange(pages_Bn.shape[1])
        # Split into all pages first: whole ones are then copied as blocks, not token by token.
        k_BnKHJ = part.k_BKHS.reshape(B, K, H, -1, J).at[rows_B1, :, :, at_Bn].get(mode="clip")
        v_BnKJH = part.v_BKSH.reshape(B, K, -1, J, H).at[rows_B1, :, at_Bn].get(mode="clip")
        return LayerPages(
            self.k_nKHJ.at[pages_Bn].set(k_BnKHJ, mode="drop"),
            self.v_nKJH.at[pages_Bn].set(v_BnKJH, mode="drop"),
        )


def token_bytes(config: ModelConfig) -> int:
    """Bytes of the keys and values of one token, over all layers."""
    entries = 2 * config.n_layers * config.n_kv_heads * config.head_dim
    return entries * DTYPES[config.dtype].dtype.itemsize


def pages_sharding(config: ModelConfig, beside: NamedSharding) -> NamedSharding:
    """Where pages lie on the mesh of weights: key heads like query heads, by the current rules.

    Rows of any device may need any page, so pages are not shared out to the devices.
    """
    if jax.sharding.get_abstract_mesh().empty or config.n_kv_heads % parts("heads"):
        return NamedSharding(beside.mesh, PartitionSpec())
    return NamedSharding(beside.mesh, PartitionSpec(None, *mesh_axes("heads")))


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
