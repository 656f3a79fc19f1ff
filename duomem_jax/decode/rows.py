"""The conversations that a generator holds, and the few of them that one call works on.

Keys, values and last hidden states stay on the device and are handed from call to call. Everything
else about a row is kept on the host: which rows come next, and how many keys a call must look at,
is decided there, without waiting for the device. A row is taken back to an earlier token by
lowering its length.
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

Entries: TypeAlias = Any  # an array: numpy's on the host, JAX's where a program is traced


class Weights(NamedTuple):
    """What the rows are read and written with, in the form of `trees.for_decoding`."""

    base: Params
    lora: AdapterTree | None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Held:
    """What lies on the device of all rows; each call is given it for good and returns it.

    Attributes:
        layers: keys and values.
        x: [rows, D], the last hidden state of each row, which its next token is chosen from.
    """

    layers: tuple[LayerCache, ...]
    x: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Group:
    """B rows as one call sees them; a call that needs fewer has idle places.

    Attributes:
        rows_B: int32, which rows; in an idle place their number, which is beyond all of them.
        length_B: int32, tokens each row holds.
        done_B: int32, tokens that its reply has so far.
        noise_B2: uint32, seed and turn of each row: what its sampling depends on.
        adapter_B: int32, which adapter of a stack each row uses; None where there is no stack.
    """

    rows_B: Entries
    length_B: Entries
    done_B: Entries
    noise_B2: Entries
    adapter_B: Entries | None

    def gather(self, held: Held, keys: int) -> tuple[KVCache, jax.Array]:
        """(the first `keys` tokens of these rows, their x_BD); idle places have some row's."""
        # "clip" gives an idle place the last row's values: harmless, as `scatter` drops the place.
        layers = tuple(layer.rows(self.rows_B, keys) for layer in held.layers)
        return KVCache(layers, self.length_B), held.x.at[self.rows_B].get(mode="clip")

    def scatter(self, held: Held, part: KVCache, x_BD: jax.Array) -> Held:
        """All rows, with these back where `gather` took them from; idle places are dropped."""
        both = zip(held.layers, part.layers, strict=True)
        layers = tuple(layer.put_rows(self.rows_B, new) for layer, new in both)
        return Held(layers, held.x.at[self.rows_B].set(x_BD, mode="drop"))

    def active(self, held: Held) -> jax.Array:
        """Whether a place has a row (bool [B]), and is not idle."""
        return self.rows_B < len(held.x)


@dataclass
class Rows:
    """All rows of a generator.

    Attributes:
        held: their part on the device.
        length: int32 [rows], tokens each row holds.
        done: int32 [rows], tokens that its reply has so far.
        open: bool [rows], whether the last reply's end token is yet to be read.
        noise: uint32 [rows, 2], seed and turn of each row.
        adapter: int32 [rows], which adapter of a stack each uses; None where there is no stack.
    """

    held: Held
    length: np.ndarray
    done: np.ndarray
    open: np.ndarray
    noise: np.ndarray
    adapter: np.ndarray | None

    @classmethod
    def empty(cls, model: Model, count: int, max_len: int, *, stacked: bool) -> "Rows":
        """Rows without a conversation.

        Args:
            model: the decoder.
            count: how many.
            max_len: tokens a conversation may have.
            stacked: whether each row uses one adapter of a stack.
        """
        config = model.config
        x = jnp.zeros((count, config.d_model), DTYPES[config.dtype])
        return cls(
            # The lengths are left out: they are the host's, in `length` below.
            Held(model.init_cache(count, max_len).layers, x),
            np.zeros(count, np.int32),
            np.zeros(count, np.int32),
            np.zeros(count, bool),
            np.zeros((count, 2), np.uint32),
            np.zeros(count, np.int32) if stacked else None,
        )

    def reset(self, row: int, seed: int, adapter: int) -> None:
        """Empty a row; what its keys and values were is never seen again."""
        # Nothing is cleared on the device: attention looks no further than a row's length.
        self.length[row] = 0
        self.open[row] = False
        self.noise[row] = seed, 0
        if self.adapter is not None:
            self.adapter[row] = adapter

    def group(self, rows: Sequence[int], size: int) -> Group:
        """Some rows, filled up to `size` with idle places."""
        return Group(
            # Copies, all of them: ours change while the call that was given them still runs.
            _padded(np.array(rows, np.int32), size, fill=len(self.length)),
            _padded(self.length[rows], size),
            _padded(self.done[rows], size),
            _padded(self.noise[rows], size),
            None if self.adapter is None else _padded(self.adapter[rows], size),
        )

    def begin_reply(self, row: int) -> None:
        """Count a turn as read, the end of the last reply included."""
        self.open[row] = False
        self.done[row] = 0

    def wrote(self, row: int, tokens: Sequence[int], *, ended: bool) -> None:
        """Count tokens of a reply; the end token is the one that is not in the cache."""
        # What the device did is counted here, so that the host need not ask it.
        self.length[row] += len(tokens) - 1 if ended else len(tokens)
        self.done[row] += len(tokens)
        if ended:
            self.open[row] = True
            # The next turn draws anew, also where it reads the same words.
            self.noise[row, 1] += 1


def _padded(values: np.ndarray, size: int, fill: int = 0) -> np.ndarray:
    """`values` with `fill` behind, up to `size` entries."""
    rest = [(0, size - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, rest, constant_values=fill)
