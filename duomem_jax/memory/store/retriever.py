"""What `recall` ranks memories by."""

from typing import TYPE_CHECKING, Protocol

from duomem_jax.memory.store.entry import Ranking
from duomem_jax.memory.store.where import Where

if TYPE_CHECKING:
    from duomem_jax.memory.store.store import Store


class Retriever(Protocol):
    """Ranks the memories of a store."""

    def rank(self, store: "Store", query: str, limit: int, part: Where) -> Ranking:
        """The best memories for a query, best first.

        Args:
            store: what is looked through, by `Store.lexical` and `Store.vectors`.
            query: any text.
            limit: how many at most.
            part: which memories may be seen.
        """


class Lexical:
    """BM25 of the full-text index."""

    def rank(self, store: "Store", query: str, limit: int, part: Where) -> Ranking:
        """See `Retriever`; a query without terms finds nothing."""
        return store.lexical(query, limit=limit, at=part.at, who=part.who, speaker=part.speaker)
