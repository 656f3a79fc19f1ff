"""The conversations that a generator holds, and the few of them that one call works on.

Keys and values stay on the device and are handed from call to call. Everything else about a row is
kept on the host: which rows come next, and how many keys a call must look at, is decided there,
without waiting for the device. A row is taken back to an earlier token by lowering its length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.models.cache import KVCache, LayerCache
from duomem_jax.models.config import DTYPES
from duomem_jax.models.model import Model
from duomem_jax.models.trees import AdapterTree, Params

Layers = tuple[LayerCache, ...]  # keys and values of all Y rows
Entries: TypeAlias = Any  # an array: numpy's on the host, JAX's where a program is traced


class Weights(NamedTuple):
    """What the rows are read and written with, in the form of `trees.for_decoding`."""

    base: Params
    lora: AdapterTree | None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Group:
    """B rows as one call sees them; a call that needs fewer has idle places.

    Attributes:
        rows_B: int32, which of the Y rows; an idle place has Y, beyond all of them.
        length_B: int32, tokens each row holds.
        done_B: int32, tokens that each row's reply has already.
        noise_B2: uint32, seed and turn of each row: what its sampling depends on.
        adapter_B: int32, which adapter of a stack each row uses; None where there is no stack.
    """

    rows_B: Entries
    length_B: Entries
    done_B: Entries
    noise_B2: Entries
    adapter_B: Entries | None

    def gather(self, layers: Layers, keys: int) -> KVCache:
        """The first `keys` tokens of these rows; an idle place has some row's, which is unused."""
        return KVCache(tuple(layer.rows(self.rows_B, keys) for layer in layers), self.length_B)

    def scatter(self, layers: Layers, part: KVCache) -> Layers:
        """All rows, with `part` back where `gather` took it from; idle places are dropped."""
        both = zip(layers, part.layers, strict=True)
        return tuple(layer.put_rows(self.rows_B, new) for layer, new in both)


@dataclass
class Rows:
    """All Y rows of a generator.

    Attributes:
        layers: keys and values, on the device; given away by each call, which returns them.
        x_YD: last hidden state of each row, on the device; given away likewise.
        length_Y: int32, tokens each row holds.
        open_Y: bool, whether the last reply's end token is yet to be read.
        done_Y: int32, tokens that the reply under way has so far.
        noise_Y2: uint32, seed and turn of each row.
        adapter_Y: int32, which adapter of a stack each row uses; None where there is no stack.
    """

    layers: Layers
    x_YD: jax.Array
    length_Y: np.ndarray
    open_Y: np.ndarray
    done_Y: np.ndarray
    noise_Y2: np.ndarray
    adapter_Y: np.ndarray | None

    @classmethod
    def empty(cls, model: Model, count: int, max_len: int, *, stacked: bool) -> "Rows":
        """Rows without a conversation.

        Args:
            model: the decoder.
            count: Y.
            max_len: tokens a conversation may have.
            stacked: whether each row uses one adapter of a stack.
        """
        return cls(
            model.init_cache(count, max_len).layers,
            jnp.zeros((count, model.config.d_model), DTYPES[model.config.dtype]),
            np.zeros(count, np.int32),
            np.zeros(count, bool),
            np.zeros(count, np.int32),
            np.zeros((count, 2), np.uint32),
            np.zeros(count, np.int32) if stacked else None,
        )

    def reset(self, row: int, seed: int, adapter: int) -> None:
        """Empty a row; what its keys and values were is never seen again."""
        self.length_Y[row] = 0
        self.open_Y[row] = False
        self.noise_Y2[row] = seed, 0
        if self.adapter_Y is not None:
            self.adapter_Y[row] = adapter

    def group(self, rows: Sequence[int], size: int) -> Group:
        """Some rows, filled up to `size` with idle places."""
        adapter_B = None if self.adapter_Y is None else _padded(self.adapter_Y[rows], size)
        return Group(
            _padded(np.array(rows, np.int32), size, fill=len(self.length_Y)),
            _padded(self.length_Y[rows], size),
            _padded(self.done_Y[rows], size),
            _padded(self.noise_Y2[rows], size),
            adapter_B,
        )

    def begin_reply(self, row: int) -> None:
        """After all that a row is to read: its reply is empty."""
        self.open_Y[row], self.done_Y[row] = False, 0

    def took(self, row: int, tokens: Sequence[int], eos_id: int) -> None:
        """Count tokens of a reply; an end token closes the turn, and is not in the cache."""
        ended = tokens[-1] == eos_id
        self.length_Y[row] += len(tokens) - ended
        self.done_Y[row] += len(tokens)
        if ended:
            self.open_Y[row] = True
            self.noise_Y2[row, 1] += 1


def _padded(values: np.ndarray, size: int, fill: int = 0) -> np.ndarray:
    """`values` with `fill` behind, up to `size` entries."""
    rest = [(0, size - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, rest, constant_values=fill)
