"""Room for the keys and values of many rows, which takes no more memory than they hold.

Rows take pages as they grow and give them back when they are emptied. What is computed with has
no pages: a call gathers those of its rows into one cache, and puts back those that it has changed.
So the programs of a model know nothing of how many pages there are, and only the small ones here
are compiled again when their number grows.
"""

from collections.abc import Sequence

import jax
import numpy as np

from duomem_jax.decode.programs import Programs, Recipe
from duomem_jax.models.cache import LayerCache, LayerPages, token_bytes
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.model import Model

PAGE = 128  # J, tokens of a page
MIN_KEYS = 256  # tokens of the cache that a call looks at, at least
SMALL = 1 << 26  # bytes made at the start in any case: less memory than the programs of growth take


class Pages:
    """Pages of all rows, on the device, and whose they are.

    Their number doubles up to the one with which every row has room for its longest conversation.
    """

    def __init__(
        self,
        model: Model,
        rows: int,
        max_len: int,
        *,
        together: int,
        place: jax.sharding.Sharding | None,
    ):
        """Make a few pages, without a row's.

        Args:
            model: the decoder.
            rows: how many there are.
            max_len: tokens a row may hold.
            together: rows of one call, which have room for `MIN_KEYS` from the start.
            place: where they lie; None: on the default device.
        """
        self._a_row = -(-max_len // PAGE)
        self._most = rows * self._a_row
        start = first_pages(model.config, rows, max_len, together)
        self._tables: list[list[int]] = [[] for _ in range(rows)]
        self._free = list(range(start))[::-1]
        # A layer at a time, so that no more than one is ever there twice.
        empty = (LayerPages.empty(model.config, start, PAGE) for _ in range(model.config.n_layers))
        self._layers = [x if place is None else jax.device_put(x, place) for x in empty]
        self._gather = Programs(Recipe(LayerPages.gather))
        self._put = Programs(Recipe(LayerPages.put, donated=(0,), place=place))
        self._place, self._growing = place, 0.0

    @property
    def seconds(self) -> float:
        """Spent so far on compiling."""
        return self._gather.seconds + self._put.seconds + self._growing

    @property
    def count(self) -> int:
        """How many there are now."""
        return len(self._layers[0].k_nKHJ)

    def keys(self, tokens: int) -> int:
        """Tokens of the cache that a call looks at when its rows hold up to `tokens`."""
        # A power of two: each size has to be compiled, which takes as long as many games.
        return min(max(MIN_KEYS, 1 << (tokens - 1).bit_length()), self._a_row * PAGE)

    def reserve(self, row: int, tokens: int) -> None:
        """See that a row has pages for so many tokens."""
        table = self._tables[row]
        missing = -(-tokens // PAGE) - len(table)
        while missing > len(self._free):
            self._grow()
        for _ in range(missing):
            table.append(self._free.pop())

    def release(self, row: int) -> None:
        """Take back all pages of a row."""
        # Nothing is cleared on the device: attention looks no further than a row's length.
        self._free += self._tables[row][::-1]
        self._tables[row] = []

    def gather(self, rows: Sequence[int], places: int, keys: int) -> tuple[LayerCache, ...]:
        """The first `keys` tokens of some rows; further places, up to `places`, are idle."""
        pages_Bn = np.full((places, keys // PAGE), self.count, np.int32)
        for place, row in enumerate(rows):
            held = self._tables[row][: keys // PAGE]
            pages_Bn[place, : len(held)] = held
        size = self.count, pages_Bn.shape
        return tuple(self._gather(size, layer, pages_Bn) for layer in self._layers)

    def put(
        self,
        rows: Sequence[int],
        length: np.ndarray,
        tokens: int,
        layers: Sequence[LayerCache],
    ) -> None:
        """Put rows back, as `gather` gave them and a call has changed them.

        Args:
            rows: which.
            length: int32 [rows], tokens each had held.
            tokens: new ones at most in each.
            layers: what they hold now.
        """
        places, _, _, keys = layers[0].k_BKHS.shape
        first_B = np.zeros(places, np.int32)
        # The page that the new tokens begin in, and as many as they may reach into.
        pages_Bn = np.full((places, (tokens - 1) // PAGE + 2), self.count, np.int32)
        for place, row in enumerate(rows):
            first = first_B[place] = length[place] // PAGE
            held = self._tables[row][first : min(first + pages_Bn.shape[1], keys // PAGE)]
            pages_Bn[place, : len(held)] = held
        size = self.count, pages_Bn.shape, keys
        for i, layer in enumerate(layers):
            self._layers[i] = self._put(size, self._layers[i], pages_Bn, first_B, layer)

    def _grow(self) -> None:
        """Make as many pages again: for each number of them something is compiled."""
        count, more = self.count, min(2 * self.count, self._most)
        grown = Programs(Recipe(_grown, (more,), place=self._place))
        for i, layer in enumerate(self._layers):
            # In place of the old one, which is freed before the next one is copied.
            self._layers[i] = grown(count, layer)
        self._growing += grown.seconds
        self._free += range(more - 1, count - 1, -1)


def first_pages(config: ModelConfig, rows: int, max_len: int, together: int) -> int:
    """How many pages `rows` rows begin with, `together` of which are in a call."""
    most = rows * -(-max_len // PAGE)
    needed = max(together * MIN_KEYS // PAGE, SMALL // (PAGE * token_bytes(config)))
    return min(needed, most)


def _grown(count: int, layer: LayerPages) -> LayerPages:
    return layer.grown(count)
