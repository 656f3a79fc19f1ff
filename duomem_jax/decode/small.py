"""Guesses of another model: a small one, or the base without its adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.decode.draft import Drafter, Seen
from duomem_jax.decode.reader import Reader
from duomem_jax.decode.rows import Rows, Weights
from duomem_jax.models.cache import KVCache
from duomem_jax.models.model import Model
from duomem_jax.models.trees import Params, for_decoding


@dataclass(frozen=True)
class SmallModel:
    """A model with the same tokens that writes ahead, in a cache of its own; a `Draft`.

    Attributes:
        model: the decoder.
        base: its parameters.
        count: tokens guessed at a time.
    """

    model: Model
    base: Params
    count: int = 3

    def beside(self, rows: Rows, *, together: int, chunk: int) -> Drafter:
        """Get a cache beside the rows of a generator."""
        weights = Weights(jax.tree.map(jnp.asarray, for_decoding(self.base)), None)
        guesser = WritesAhead(self.model, self.count)
        return ModelDrafter(guesser, rows, weights, together=together, chunk=chunk)


@dataclass(frozen=True)
class WritesAhead:
    """Guesses what a model writes; a `Guesser`.

    Attributes:
        model: the decoder.
        count: tokens guessed at a time.
    """

    model: Model
    count: int

    def guess(
        self, seen: Seen, weights: Weights, kept: KVCache
    ) -> tuple[jax.Array, jax.Array, KVCache]:
        """What the model writes after the last token, drawn as the other model draws."""
        head = self.model.head(weights.base)
        rows_B = jnp.arange(len(seen.at_B))

        def read(cache: KVCache, tokens_BT: jax.Array, n_new: jax.Array | int) -> Any:
            n_new_B = jnp.where(seen.live_B, n_new, 0)
            return self.model.extend(weights.base, cache, tokens_BT, n_new_B)

        def go_on(state: tuple[jax.Array, KVCache], step: jax.Array) -> Any:
            x_BD, cache = state
            token_B = seen.choose(head(x_BD), step)
            x_B1D, cache = read(cache, token_B[:, None], 1)
            return (x_B1D[:, 0], cache), token_B

        # Wrong guesses are taken back. A last one that was right has not been read: it comes first.
        cache = kept.with_length(jnp.minimum(kept.length_B, seen.at_B))
        behind_B = seen.at_B - cache.length_B
        unread_B2 = seen.text_BS[rows_B[:, None], cache.length_B[:, None] + jnp.arange(2)]
        x_B2D, cache = read(cache, unread_B2, behind_B + 1)
        steps = jnp.arange(1, self.count)
        (x_BD, cache), tokens_QB = jax.lax.scan(go_on, (x_B2D[rows_B, behind_B], cache), steps)
        last_B = seen.choose(head(x_BD), self.count)
        guesses_BQ = jnp.concatenate([tokens_QB.T, last_B[:, None]], 1)
        return guesses_BQ, jnp.full_like(seen.at_B, self.count), cache


class ModelDrafter(Drafter):
    """A model that writes ahead, and its cache of a generator's rows."""

    def __init__(
        self, guesser: WritesAhead, rows: Rows, weights: Weights, *, together: int, chunk: int
    ):
        """Begin with an empty cache.

        Args:
            guesser: the model.
            rows: of the generator.
            weights: of the model.
            together: B, rows handled in one call.
            chunk: T, tokens of a row read in one call.
        """
        super().__init__(guesser, rows)
        count, max_len = rows.text.shape
        # Their lengths fall behind those of the generator's rows by a token at most.
        self._own = Rows.empty(guesser.model, count, max_len, together=together, weights=weights)
        self._reader = Reader(guesser.model, self._own, together=together, chunk=chunk)
        self._weights = weights

    @property
    def seconds(self) -> float:
        """Spent so far on compiling."""
        return self._own.pages.seconds + self._reader.programs.seconds

    def reset(self, row: int) -> None:
        """Empty the cache of a row."""
        self._own.reset(row, 0, 0, limit=0, temperature=0.0)

    def read(self, rows: Sequence[int]) -> None:
        """Read what these rows hold, and the cache lacks."""
        self._reader.read(self._weights, {row: self._unread(row) for row in rows})

    def _unread(self, row: int) -> list[int]:
        read, held = self._own.length[row], self._rows.length[row]
        return self._rows.text[row, read:held].tolist()

    def take(self, rows: Sequence[int], piece: int, places: int, keys: int) -> tuple[Any, ...]:
        """(text_BS, weights, kept); `keys` of the cache are looked at."""
        text_BS, _, _ = super().take(rows, piece, places, keys)
        for row in rows:
            self._own.pages.reserve(row, self._rows.reach(row, piece))
        held, group = self._own.take(rows, places, keys), self._own.group(rows, places)
        return text_BS, self._weights, KVCache(held.layers, group.length_B)

    def put(self, rows: Sequence[int], piece: int, kept: KVCache) -> None:
        """Keep the cache of these rows."""
        # The token that it may be behind by, too.
        self._own.pages.put(rows, self._own.length[rows], piece + 1, kept.layers)

    def wrote(self, row: int) -> None:
        """Count what is there for certain: the program does not say whether it read the last."""
        self._own.length[row] = self._rows.length[row] - 1
