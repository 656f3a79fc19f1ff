"""Retrieval by vectors."""

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.memory.retrieve.protocol import NOTHING, Index, Part, Ranking
from duomem_jax.memory.retrieve.scan import Scan
from duomem_jax.memory.retrieve.terms import terms


class Dense:
    """Cosine of the query's vector and each memory's."""

    def __init__(self) -> None:
        self._scan = Scan()

    def rank(self, index: Index, query: str, limit: int, part: Part) -> Ranking:
        """See `Retriever`."""
        query_E = embedded(index, query)
        if query_E is None:
            return NOTHING
        vectors = index.vectors(at=part.at, who=part.who, speaker=part.speaker)
        near = self._scan.near(vectors.vectors_ME, query_E, limit)
        return best(vectors.ids_M[near.rows_M], near.cosines_M, limit)


def embedded(index: Index, query: str) -> np.ndarray | None:
    """The query's unit vector float32[E]; None for one without terms or without features.

    Raises:
        UserError: there is no embedder.
    """
    if not terms(query):
        return None
    if index.embedder is None:
        raise UserError(
            "the memories' vectors are of an embedder that was not given; open them with it, or "
            "choose the retriever bm25"
        )
    (query_E,) = index.embedder.embed([query])
    return query_E if query_E.any() else None


def best(ids_M: np.ndarray, scores_M: np.ndarray, limit: int) -> Ranking:
    """The highest scores, in order; of equal ones the first id comes first."""
    if 0 < limit < len(ids_M):
        # All that are not below the last one to be taken, so that ids decide among equals.
        last = np.partition(scores_M, len(scores_M) - limit)[len(scores_M) - limit]
        kept = np.flatnonzero(scores_M >= last)
        ids_M, scores_M = ids_M[kept], scores_M[kept]
    order = np.lexsort((ids_M, -scores_M))[:limit]
    return Ranking(ids_M[order], scores_M[order].astype(np.float32))
