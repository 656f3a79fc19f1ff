"""Retrieval by words."""

from duomem_jax.memory.retrieve.protocol import Index, Part, Ranking


class BM25:
    """BM25 of the full-text index (k1 1.2, b 0.75): text and context of a memory together."""

    def rank(self, index: Index, query: str, limit: int, part: Part) -> Ranking:
        """See `Retriever`."""
        return index.lexical(query, limit=limit, at=part.at, who=part.who, speaker=part.speaker)
