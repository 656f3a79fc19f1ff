"""Bring new tokens into the cache of many rows, a chunk of some of them at a time.

Longest rest first: a few long prompts fill up with the short observations of other rows instead of
making every row pay for their length.
"""

from collections.abc import Hashable, Mapping, Sequence

from duomem_jax.decode.chunks import NOTHING_SHOWN, Chunk, Looked, Unread
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

    def read(
        self,
        weights: Weights,
        row_tokens: Mapping[int, Sequence[int]],
        pictures: Mapping[int, Looked] = NOTHING_SHOWN,
    ) -> None:
        """Append tokens to the named rows, which have room for them.

        Args:
            weights: of the model.
            row_tokens: what is new in each row.
            pictures: among these tokens, of rows that are shown any.
        """
        rows, unread = self._rows, Unread(row_tokens, pictures, self._chunk)

        def urgency(row: int) -> tuple[int, int]:
            # In whole chunks: rows with as many calls to go are told apart by their length, so that
            # long ones share the calls that look at many keys.
            return unread.chunks(row), rows.length[row]

        while unread:
            now = sorted(unread, key=urgency, reverse=True)[: self._together]
            # With the lengths before this chunk, which is where its tokens go.
            group, before = rows.group(now, self._together), rows.length[now]
            chunk = unread.take(now, self._together)
            self._hold(now, chunk)
            keys = rows.pages.keys(int(rows.length[now].max()))
            # Chunks without a picture have programs of their own, which know none.
            size: Hashable = keys if chunk.pictures is None else (keys, "with pictures")
            held = rows.take(now, self._together, keys)
            held = self.programs(size, weights, held, group, *chunk)
            rows.put(now, before, self._chunk, held)
            # Freed before the next chunk gathers its own: it may be the largest thing in memory.
            del held

    def _hold(self, now: Sequence[int], chunk: Chunk) -> None:
        """Count the tokens of a chunk, for which there is room afterwards."""
        # Idle places are at the end, beyond the rows.
        for row, tokens_T, n_new in zip(now, chunk.tokens_BT, chunk.n_new_B, strict=False):
            self._rows.hold(row, tokens_T[:n_new])
            self._rows.pages.reserve(row, int(self._rows.length[row]))
