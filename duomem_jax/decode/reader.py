"""Bring new tokens into the cache of many rows, a chunk of some of them at a time.

Longest rest first: a few long prompts fill up with the short observations of other rows instead of
making every row pay for their length.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from duomem_jax.decode.programs import Programs, Recipe
from duomem_jax.decode.read import read
from duomem_jax.decode.rows import Rows, Weights
from duomem_jax.models.model import Model


class Reader:
    """Reads into the rows of one model.

    Attributes:
        programs: what is compiled, by the number of keys.
    """

    def __init__(self, model: Model, rows: Rows, *, together: int, chunk: int):
        """Read nothing yet.

        Args:
            model: the decoder.
            rows: where to.
            together: B, rows handled in one call.
            chunk: T, tokens of a row read in one call.
        """
        self._rows, self._together, self._chunk = rows, together, chunk
        # Argument 1 is `Held`: it may be larger than all the rest, and must not be there twice.
        self.programs = Programs(Recipe(read, (model,), donated=(1,)))

    def read(self, weights: Weights, row_tokens: Mapping[int, Sequence[int]]) -> None:
        """Append tokens to the named rows, which have room for them."""
        rows = self._rows
        rest = {row: list(tokens) for row, tokens in row_tokens.items() if tokens}

        def urgency(row: int) -> tuple[int, int]:
            # In whole chunks: rows with as many calls to go are told apart by their length, so that
            # long ones share the calls that look at many keys.
            return len(rest[row]) // self._chunk, rows.length[row]

        while rest:
            now = sorted(rest, key=urgency, reverse=True)[: self._together]
            # With the lengths before this chunk, which is where its tokens go.
            group, before = rows.group(now, self._together), rows.length[now]
            tokens_BT, n_new_B = self._next_chunk(rest, now)
            keys = rows.pages.keys(int(rows.length[now].max()))
            held = rows.take(now, self._together, keys)
            held = self.programs(keys, weights, held, group, tokens_BT, n_new_B)
            rows.put(now, before, self._chunk, held)
            # Freed before the next chunk gathers its own: it may be the largest thing in memory.
            del held

    def _next_chunk(
        self, rest: dict[int, list[int]], now: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take a chunk off what some rows have yet to read: tokens_BT, and n_new_B of them."""
        # Always the full size, since each other shape would be compiled.
        tokens_BT = np.zeros((self._together, self._chunk), np.int32)
        n_new_B = np.zeros(self._together, np.int32)
        for place, row in enumerate(now):
            piece, rest[row] = rest[row][: self._chunk], rest[row][self._chunk :]
            tokens_BT[place, : len(piece)] = piece
            n_new_B[place] = len(piece)
            self._rows.hold(row, piece)
            self._rows.pages.reserve(row, int(self._rows.length[row]))
            if not rest[row]:
                del rest[row]
        return tokens_BT, n_new_B
