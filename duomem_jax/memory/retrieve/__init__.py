"""Which memories a query is shown."""

from collections.abc import Callable

from duomem_jax.base.errors import UserError
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.retrieve.bm25 import BM25
from duomem_jax.memory.retrieve.dense import Dense
from duomem_jax.memory.retrieve.hybrid import Hybrid
from duomem_jax.memory.retrieve.protocol import Everything, Index, Ranking, Retriever, Vectors

__all__ = [
    "BM25",
    "RETRIEVERS",
    "Dense",
    "Everything",
    "Hybrid",
    "Index",
    "Ranking",
    "Retriever",
    "Vectors",
    "make_retriever",
    "usual_retriever",
]

RETRIEVERS: dict[str, Callable[[], Retriever]] = {"bm25": BM25, "dense": Dense, "hybrid": Hybrid}


def make_retriever(name: str) -> Retriever:
    """A retriever of `RETRIEVERS`.

    Raises:
        UserError: there is none of this name.
    """
    if name not in RETRIEVERS:
        raise UserError(f"retriever={name}: unknown; choose one of {', '.join(RETRIEVERS)}")
    return RETRIEVERS[name]()


def usual_retriever(embedder: Embedder | None) -> Retriever:
    """What suits an embedder.

    Hashed words find next to nothing that BM25 does not find, and less of what takes two hops
    (docs/retrieval.md).
    """
    learnt = embedder is not None and not embedder.name.startswith("hashing")
    return Hybrid() if learnt else BM25()
