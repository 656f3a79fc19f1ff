"""An index without a file, such as of the turns of one dialogue."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.retrieve.protocol import NOTHING, Ranking, Vectors
from duomem_jax.memory.retrieve.terms import terms


@dataclass(frozen=True)
class Document:
    """Something to find.

    Attributes:
        text: what it says; it is embedded with its speaker's name before it.
        speaker: whom it is about; "" where that is not known.
        context: further text that only words find it by, such as the turns around it.
        owner: whose it is.
        happened: when it was said: ISO 8601 in UTC.
    """

    text: str
    speaker: str = ""
    context: str = ""
    owner: str = ""
    happened: str = ""

    @property
    def matched(self) -> str:
        """The text with its speaker."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


class InMemoryIndex:
    """An `Index` of documents, whose ids are their positions.

    BM25 is SQLite's, as in a store, so that both rank alike.

    Args:
        documents: what can be found.
        embedder: makes the vectors.
        vectors_ME: the vectors, where they are known already.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        embedder: Embedder | None = None,
        vectors_ME: np.ndarray | None = None,
    ) -> None:
        self._documents = documents
        self.embedder = embedder
        if vectors_ME is None and embedder is not None:
            vectors_ME = embedder.embed([document.matched for document in documents])
        self._vectors_ME = np.zeros((len(documents), 0)) if vectors_ME is None else vectors_ME
        self._database = sqlite3.connect(":memory:")
        # Terms arrive split: this tokenizer parts them at spaces, and takes all their letters.
        self._database.execute("CREATE VIRTUAL TABLE found USING fts5(terms, tokenize = 'ascii')")
        self._database.executemany(
            "INSERT INTO found (rowid, terms) VALUES (?, ?)",
            (
                (id, " ".join(terms(f"{document.matched}\n{document.context}")))
                for id, document in enumerate(documents)
            ),
        )

    def lexical(
        self,
        query: str,
        *,
        limit: int | None = None,
        at: str | None = None,
        who: Sequence[str] | None = None,
        speaker: str | None = None,
    ) -> Ranking:
        """See `Index`."""
        asked = " OR ".join(f'"{term}"' for term in dict.fromkeys(terms(query)))
        if not asked:
            return NOTHING
        rows = self._database.execute(
            "SELECT rowid, -bm25(found) AS score FROM found WHERE found MATCH ? "
            "ORDER BY score DESC, rowid",
            (asked,),
        ).fetchall()
        seen = self._seen(at, who, speaker)
        kept = [row for row in rows if seen[row[0]]][:limit]
        return Ranking(
            np.array([id for id, _ in kept], np.int64),
            np.array([score for _, score in kept], np.float32),
        )

    def vectors(
        self,
        *,
        at: str | None = None,
        who: Sequence[str] | None = None,
        speaker: str | None = None,
    ) -> Vectors:
        """See `Index`."""
        ids_M = np.flatnonzero(self._seen(at, who, speaker))
        if len(ids_M) == len(self._documents):
            return Vectors(ids_M, self._vectors_ME)
        return Vectors(ids_M, self._vectors_ME[ids_M])

    def speakers(self, ids_M: np.ndarray) -> list[str]:
        """See `Index`."""
        return [self._documents[id].speaker for id in ids_M]

    def _seen(self, at: str | None, who: Sequence[str] | None, speaker: str | None) -> np.ndarray:
        return np.array(
            [
                (at is None or document.happened <= at)
                and (who is None or document.owner in who)
                and (speaker is None or document.speaker == speaker)
                for document in self._documents
            ],
            bool,
        )
