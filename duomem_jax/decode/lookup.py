"""Guesses from the conversation itself: what followed when its last tokens came before."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from duomem_jax.decode.draft import Drafter, Seen
from duomem_jax.decode.rows import Rows

LONGEST = 4  # last tokens that are looked up; of more, an occurrence is no surer guess


@dataclass(frozen=True)
class LookUp:
    """Copies what followed the last occurrence of the longest ending (arXiv 2304.04487).

    A `Draft`, and its own `Guesser`.

    Attributes:
        count: tokens guessed at most at a time.
    """

    count: int = 3

    def beside(self, rows: Rows, *, together: int, chunk: int) -> Drafter:
        """Guess beside the rows of a generator, which hold all that is needed."""
        return Drafter(self, rows)

    def guess(self, seen: Seen, weights: None, kept: None) -> tuple[jax.Array, jax.Array, None]:
        """What followed; nothing where the last token is new."""
        text_BS, at_B1 = seen.text_BS, seen.at_B[:, None]
        rows_B1, steps_S = jnp.arange(len(text_BS))[:, None], jnp.arange(text_BS.shape[1])
        agree_BS = steps_S < at_B1
        length_BS = jnp.zeros_like(text_BS)
        # How many tokens up to each place are those up to the last one.
        for back in range(LONGEST):
            same_BS = jnp.roll(text_BS, back, 1) == text_BS[rows_B1, at_B1 - back]
            # Neither rolled over the start, nor counted from the end.
            agree_BS &= same_BS & (steps_S >= back) & (at_B1 >= back)
            length_BS += agree_BS
        # The longest, and of these the last.
        score_BS = jnp.where(length_BS > 0, length_BS * len(steps_S) + steps_S, -1)
        place_B = score_BS.argmax(1)
        known_B = jnp.where(score_BS.max(1) >= 0, seen.at_B - place_B, 0)
        guesses_BQ = text_BS[rows_B1, place_B[:, None] + 1 + jnp.arange(self.count)]
        return guesses_BQ, jnp.minimum(known_B, self.count), None
