"""Retrieval by words and vectors together."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from annotated_types import Interval

from duomem_jax.base.ranges import options
from duomem_jax.memory.retrieve.dense import best, embedded
from duomem_jax.memory.retrieve.protocol import NOTHING, Index, Part, Ranking, Vectors
from duomem_jax.memory.retrieve.scan import EXACT, Scan
from duomem_jax.memory.retrieve.terms import terms

Weight = Annotated[float, Interval(ge=0, le=100)]
# Candidates of each channel beyond what is asked for: what is weak in one, and unknown to the
# other, does not get into the first places. Of few memories all that have a term are candidates.
_MORE = 100


@options
class Weights:
    """How much each channel counts; words count 1.

    The defaults are what leave-one-conversation-out chose on LoCoMo for each conversation.
    """

    dense: Weight = 1.0  # of the z-score of the cosine
    named: Weight = 0.6  # added where the query names whom the memory is about


class Hybrid:
    """Sum of the z-scores of BM25 and cosine, and a share for who is named.

    Ranks, as in reciprocal rank fusion, would let the best of many equally bad cosines in.
    """

    def __init__(self, weights: Weights = Weights()) -> None:
        self._weights = weights
        self._scan = Scan()

    def rank(self, index: Index, query: str, limit: int, part: Part) -> Ranking:
        """See `Retriever`."""
        query_E = embedded(index, query)
        if limit < 1 or not terms(query):
            return NOTHING
        vectors = index.vectors(at=part.at, who=part.who, speaker=part.speaker)
        many = limit + _MORE if query_E is None or len(vectors.ids_M) > EXACT else None
        lexical = index.lexical(query, limit=many, at=part.at, who=part.who, speaker=part.speaker)
        if query_E is None:
            return Ranking(lexical.ids_M[:limit], lexical.scores_M[:limit])
        rows_M, scores_M = self._sum(lexical, vectors, query_E, limit + _MORE)
        kept = best(vectors.ids_M[rows_M], scores_M, limit + _MORE)
        named_M = _named(terms(query), index.speakers(kept.ids_M))
        return best(kept.ids_M, kept.scores_M + self._weights.named * named_M, limit)

    def _sum(
        self, lexical: Ranking, vectors: Vectors, query_E: np.ndarray, limit: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of candidates and their sums: all that words find, and the nearest others."""
        size = len(vectors.ids_M)
        if not size:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        # A memory may have come or gone between the two looks at the index.
        rows_M = np.minimum(np.searchsorted(vectors.ids_M, lexical.ids_M), size - 1)
        there_M = vectors.ids_M[rows_M] == lexical.ids_M
        rows_M, found_M = rows_M[there_M], lexical.scores_M[there_M].astype(np.float64)
        near = self._scan.near(vectors.vectors_ME, query_E, limit, rows_M)
        bm25_M = np.zeros(len(near.rows_M))
        bm25_M[np.searchsorted(near.rows_M, rows_M)] = found_M
        # Among candidates: over a large store, where nearly all scores are 0, the few others would
        # be so many deviations high that vectors had no say.
        return near.rows_M, (
            _standard(bm25_M, bm25_M.mean(), bm25_M.std())
            + self._weights.dense * _standard(near.cosines_M, near.mean, near.deviation)
        )


def _standard(scores_M: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    # Where all are equal they say nothing; what is left of a deviation then is rounding.
    return (scores_M - mean) / deviation if deviation > 1e-6 else np.zeros(len(scores_M))


def _named(asked: list[str], speakers: Sequence[str]) -> np.ndarray:
    """1.0 where the query has a name of the speaker, else 0.0."""
    names = {name: bool(set(terms(name)) & set(asked)) for name in set(speakers)}
    return np.array([float(names[name]) for name in speakers])
