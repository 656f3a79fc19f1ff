"""Tokens guessed ahead of a model, which then scores several of them in one step.

A guess is right where the model itself writes that token in its place. So a reply is what it would
be without guesses, a sampled one too: what is drawn depends on its seed, its turn and its place
alone, for guesser and model alike (drafter-invariant speculative decoding, arXiv 2408.07978). The
usual rule of accepting and rejecting (arXiv 2211.17192) keeps only the distribution, and a reply
would depend on who guessed and on where its pieces end. It accepts as many guesses of look-up,
which are certain, and a few more of a model: 1 - d of them, where ours are at least
(1 - d) / (1 + d), with d the total variation distance of the two.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from duomem_jax.decode.rows import Rows


@dataclass
class Guesses:
    """How many tokens were guessed so far, and how many of those were right."""

    made: int = 0
    right: int = 0

    def add(self, made: int, right: int) -> None:
        """Count some more."""
        self.made += made
        self.right += right

    @property
    def share(self) -> float:
        """The right ones among them; 0 where there are none."""
        return self.right / self.made if self.made else 0.0

    def __str__(self) -> str:
        return f"{self.share:.0%} of {self.made:,} guessed tokens were right"


class Seen(NamedTuple):
    """What B rows have written when somebody is to guess how they go on.

    Attributes:
        text_BS: int32, the tokens of each row; those behind `at_B` mean nothing.
        at_B: int32, where the last one lies, which the row's cache does not hold yet.
        live_B: bool, whether a row goes on.
        choose: (logits_BV, n) -> token_B, the choice of the token n places behind the last one.
    """

    text_BS: jax.Array
    at_B: jax.Array
    live_B: jax.Array
    choose: Callable[[jax.Array, Any], jax.Array]


class Guesser(Hashable, Protocol):
    """Guesses in a compiled program, which is made for it: hashable."""

    @property
    def count(self) -> int:
        """How many tokens at most, in each row at a time."""
        ...

    def guess(self, seen: Seen, weights: Any, kept: Any) -> tuple[jax.Array, jax.Array, Any]:
        """What comes next in each row.

        Args:
            seen: the rows.
            weights: of the guesser, if it has any.
            kept: what it remembers of the rows between two guesses.

        Returns:
            int32 [B, count] tokens, int32 [B] how many of them count, and what to keep.
        """
        ...


class Drafter:
    """A guesser at work beside the rows of a generator; this one keeps nothing of its own.

    Attributes:
        guesser: what programs are made for; None: nobody guesses.
    """

    def __init__(self, guesser: Guesser | None, rows: Rows):
        """Guess in `rows`."""
        self.guesser, self._rows = guesser, rows

    @property
    def seconds(self) -> float:
        """Spent so far on compiling."""
        return 0.0

    def reset(self, row: int) -> None:
        """Forget a row."""

    def read(self, rows: Sequence[int]) -> None:
        """Read what these rows hold."""

    def take(self, rows: Sequence[int], piece: int, places: int, keys: int) -> tuple[Any, ...]:
        """(text_BS, weights, kept) for a call as `Rows.take`, which adds up to `piece` tokens."""
        text_BS = np.zeros((places, keys), np.int32)
        text_BS[: len(rows)] = self._rows.text[rows, :keys]
        return text_BS, None, None

    def put(self, rows: Sequence[int], piece: int, kept: Any) -> None:
        """Take back what the call has kept."""

    def wrote(self, row: int) -> None:
        """Take note that a row holds what was written in it."""


class Draft(Protocol):
    """Who is to guess; made by the user, for any number of generators."""

    def beside(self, rows: Rows, *, together: int, chunk: int) -> Drafter:
        """Get to work beside the rows of a generator.

        Args:
            rows: without a conversation.
            together: B, rows handled in one call.
            chunk: T, tokens of a row read in one call.
        """
        ...
