"""What retrievers look through, and what they give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from duomem_jax.memory.embed import Embedder


class Ranking(NamedTuple):
    """Memories in order, best first.

    Attributes:
        ids_M: int64[M].
        scores_M: float32[M], falling.
    """

    ids_M: np.ndarray
    scores_M: np.ndarray


class Vectors(NamedTuple):
    """Memories as unit vectors.

    Attributes:
        ids_M: int64[M], rising.
        vectors_ME: float32[M, E], not to be written to.
    """

    ids_M: np.ndarray
    vectors_ME: np.ndarray


class Part(Protocol):
    """Which memories may be seen.

    `at`: only what had been said by then, as ISO 8601 in UTC; None: as it is now. `who`: whose;
    None: everybody's. `speaker`: whom they are about; None: whomever.
    """

    @property
    def at(self) -> str | None:
        """When."""
        ...

    @property
    def who(self) -> Sequence[str] | None:
        """Whose."""
        ...

    @property
    def speaker(self) -> str | None:
        """About whom."""
        ...


@dataclass(frozen=True)
class Everything:
    """A `Part` that leaves nothing out."""

    at: str | None = None
    who: Sequence[str] | None = None
    speaker: str | None = None


class Index(Protocol):
    """Memories that can be found by their words and by their vectors."""

    @property
    def embedder(self) -> Embedder | None:
        """What made the vectors; None where that is not at hand."""
        ...

    def lexical(
        self,
        query: str,
        *,
        limit: int | None = None,
        at: str | None = None,
        who: Sequence[str] | None = None,
        speaker: str | None = None,
    ) -> Ranking:
        """Those that have a term of the query, by BM25; at most `limit`."""
        ...

    def vectors(
        self,
        *,
        at: str | None = None,
        who: Sequence[str] | None = None,
        speaker: str | None = None,
    ) -> Vectors:
        """All of them as vectors."""
        ...

    def speakers(self, ids_M: np.ndarray) -> Sequence[str]:
        """Whom each of these memories is about; "" where that is not known."""
        ...


class Retriever(Protocol):
    """Ranks memories; one file and one line of `RETRIEVERS` to add another."""

    def rank(self, index: Index, query: str, limit: int, part: Part) -> Ranking:
        """The best memories for a query, best first.

        Args:
            index: what is looked through.
            query: any text; one without terms (`retrieve.terms`) finds nothing.
            limit: how many at most.
            part: which may be seen.
        """
        ...


NOTHING = Ranking(np.zeros(0, np.int64), np.zeros(0, np.float32))
