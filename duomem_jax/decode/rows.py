"""The conversations that a generator holds, and the few of them that one call works on.

Keys, values and last hidden states stay on the device. Everything else about a row is kept on the
host: which rows come next, and how many keys a call must look at, is decided there, without waiting
for the device. A row is taken back to an earlier token by lowering its length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.decode.pages import Pages
from duomem_jax.models.cache import KVCache, LayerCache, pages_sharding
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
    """What one call works on; it is given for good and returned.

    Attributes:
        layers: keys and values of the B rows of the call.
        x: [rows, D], the last hidden state of every row, which its next token is chosen from.
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
        limit_B: int32, tokens that its reply may have, end token included.
        noise_B2: uint32, seed and turn of each row: what its sampling depends on.
        adapter_B: int32, which adapter of a stack each row uses; None where there is no stack.
    """

    rows_B: Entries
    length_B: Entries
    done_B: Entries
    limit_B: Entries
    noise_B2: Entries
    adapter_B: Entries | None

    def gather(self, held: Held) -> tuple[KVCache, jax.Array]:
        """(the cache of these rows, their x_BD); idle places have some row's."""
        # "clip" gives an idle place the last row's x: harmless, as `scatter` drops the place.
        return KVCache(held.layers, self.length_B), held.x.at[self.rows_B].get(mode="clip")

    def scatter(self, held: Held, part: KVCache, x_BD: jax.Array) -> Held:
        """What `gather` was given, with these rows changed; idle places are dropped."""
        return Held(part.layers, held.x.at[self.rows_B].set(x_BD, mode="drop"))

    def active(self, held: Held) -> jax.Array:
        """Whether a place has a row (bool [B]), and is not idle."""
        return self.rows_B < len(held.x)


@dataclass
class Rows:
    """All rows of a generator.

    Attributes:
        pages: their keys and values.
        x: [rows, D], the last hidden state of each.
        text: int32 [rows, tokens], what each row holds.
        length: int32 [rows], how many tokens that is.
        done: int32 [rows], tokens that its reply has so far.
        limit: int32 [rows], tokens that its reply may have, end token included.
        temperature: float64 [rows], of its sampling; 0 takes the likeliest token.
        open: bool [rows], whether the last reply's end token is yet to be read.
        noise: uint32 [rows, 2], seed and turn of each row.
        adapter: int32 [rows], which adapter of a stack each uses; None where there is no stack.
    """

    pages: Pages
    x: jax.Array
    text: np.ndarray
    length: np.ndarray
    done: np.ndarray
    limit: np.ndarray
    temperature: np.ndarray
    open: np.ndarray
    noise: np.ndarray
    adapter: np.ndarray | None

    @classmethod
    def empty(
        cls, model: Model, count: int, max_len: int, *, together: int, weights: Weights
    ) -> "Rows":
        """Rows without a conversation.

        Args:
            model: the decoder.
            count: how many.
            max_len: tokens a conversation may have.
            together: how many are in one call.
            weights: which rows lie beside; their adapter may be a stack, of which each row uses
                one.
        """
        config, (cache_place, x_place) = model.config, _places(model, weights)
        x = jnp.zeros((count, config.d_model), DTYPES[config.dtype])
        # With its layers apart an adapter is matrices; a stack of adapters has one axis more.
        stacked = any(leaf.ndim == 3 for leaf in jax.tree.leaves(weights.lora))
        pages = Pages(model, count, max_len, together=together, place=cache_place)
        return cls(
            pages,
            x if x_place is None else jax.device_put(x, x_place),
            np.zeros((count, pages.keys(max_len)), np.int32),
            np.zeros(count, np.int32),
            np.zeros(count, np.int32),
            np.zeros(count, np.int32),
            np.zeros(count),
            np.zeros(count, bool),
            np.zeros((count, 2), np.uint32),
            np.zeros(count, np.int32) if stacked else None,
        )

    def reset(self, row: int, seed: int, adapter: int, *, limit: int, temperature: float) -> None:
        """Empty a row; what its keys and values were is never seen again."""
        self.pages.release(row)
        self.length[row] = 0
        self.open[row] = False
        self.noise[row] = seed, 0
        self.limit[row], self.temperature[row] = limit, temperature
        if self.adapter is not None:
            self.adapter[row] = adapter

    def take(self, rows: Sequence[int], places: int, keys: int) -> Held:
        """The first `keys` tokens of some rows, for a call of so many places."""
        return Held(self.pages.gather(rows, places, keys), self.x)

    def put(self, rows: Sequence[int], length: np.ndarray, tokens: int, held: Held) -> None:
        """Keep what a call returned.

        Args:
            rows: that it worked on.
            length: int32 [rows], tokens each had held.
            tokens: that it may have added to each.
            held: all of it.
        """
        self.x = held.x
        self.pages.put(rows, length, tokens, held.layers)

    def group(self, rows: Sequence[int], size: int) -> Group:
        """Some rows, filled up to `size` with idle places."""
        return Group(
            # Copies, all of them: ours change while the call that was given them still runs.
            _padded(np.array(rows, np.int32), size, fill=len(self.length)),
            _padded(self.length[rows], size),
            _padded(self.done[rows], size),
            _padded(self.limit[rows], size),
            _padded(self.noise[rows], size),
            None if self.adapter is None else _padded(self.adapter[rows], size),
        )

    def reach(self, row: int, tokens: int) -> int:
        """Tokens that a row holds at most when its reply goes on by so many."""
        return int(self.length[row] + min(tokens, self.limit[row] - self.done[row]))

    def hold(self, row: int, tokens: Sequence[int] | np.ndarray) -> None:
        """Count tokens that its cache holds from now on."""
        before = self.length[row]
        self.length[row] += len(tokens)
        self.text[row, before : self.length[row]] = tokens

    def begin_reply(self, row: int) -> None:
        """Count a turn as read, the end of the last reply included."""
        self.open[row] = False
        self.done[row] = 0

    def wrote(self, row: int, tokens: Sequence[int], *, ended: bool) -> None:
        """Count tokens of a reply; the end token is the one that is not in the cache."""
        # What the device did is counted here, so that the host need not ask it.
        self.hold(row, tokens[:-1] if ended else tokens)
        self.done[row] += len(tokens)
        if ended:
            self.open[row] = True
            # The next turn draws other random numbers, even where it reads the same words.
            self.noise[row, 1] += 1


def _places(
    model: Model, weights: Weights
) -> tuple[jax.sharding.Sharding | None, jax.sharding.Sharding | None]:
    """Where pages and hidden states lie beside the weights; None where those lie nowhere for good.

    A committed array among others that are not would be another program, compiled again.
    """
    places = {x.sharding for x in jax.tree.leaves(weights.base) if x.committed}
    place = next(iter(places), None)
    if isinstance(place, jax.sharding.NamedSharding):
        whole = jax.sharding.NamedSharding(place.mesh, jax.sharding.PartitionSpec())
        return pages_sharding(model.config, place), whole
    return place, place


def _padded(values: np.ndarray, size: int, fill: int = 0) -> np.ndarray:
    """`values` with `fill` behind, up to `size` entries."""
    rest = [(0, size - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, rest, constant_values=fill)
