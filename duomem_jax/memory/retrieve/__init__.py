"""Which memories a query is shown."""

from collections.abc import Callable

from duomem_jax.base.errors import UserError
from duomem_jax.memory.retrieve.bm25 import BM25
from duomem_jax.memory.retrieve.dense import Dense
from duomem_jax.memory.retrieve.hybrid import Hybrid
from duomem_jax.memory.retrieve.protocol import Everything, Index, Ranking, Retriever

__all__ = [
    "BM25",
    "RETRIEVERS",
    "Dense",
    "Everything",
    "Hybrid",
    "Index",
    "Ranking",
    "Retriever",
    "make_retriever",
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
