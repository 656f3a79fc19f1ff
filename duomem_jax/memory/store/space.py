"""The space that a store's vectors are in: one embedder, named in the file."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.memory.embed import Embedder, make_embedder
from duomem_jax.memory.store.reindex import embed

# A quarter of the dimensions that tasks of games are embedded in: a store may hold 100,000 texts.
DEFAULT = "hashing:512"


class Space:
    """What makes vectors for a store.

    Attributes:
        embedder: None where the store has vectors of one that was not given.
        given: whether somebody chose it.

    Raises:
        UserError: the store has vectors of another one.
    """

    def __init__(self, path: Path, held: str, embedder: Embedder | None) -> None:
        """What is to be used for the vectors of `held`, the name in the file."""
        self._path, self.given = path, embedder is not None
        if embedder is not None and embedder.name != held:
            raise _other(path, held, embedder.name)
        self.embedder = embedder or _hashing(held)

    def embed(self, texts: Iterable[str]) -> dict[str, bytes]:
        """Vectors as they are kept, by text.

        Raises:
            UserError: the embedder fails, or was not given.
        """
        texts = list(texts)
        if texts and self.embedder is None:
            raise UserError(
                f"{self._path}: its vectors are of another embedder than the default; open it with "
                "embedder=... to add to it, or reindex it"
            )
        return embed(self.embedder, texts) if self.embedder else {}

    def check(self, database: sqlite3.Connection) -> None:
        """Compare with what the file holds by now.

        Raises:
            UserError: another process has embedded it again since it was opened.
        """
        held = database.execute("SELECT embedder FROM state").fetchone()[0]
        if self.embedder is not None and held != self.embedder.name:
            raise _other(self._path, held, self.embedder.name)

    def claim(self, database: sqlite3.Connection, vectors: Iterable[bytes]) -> None:
        """`check`, and all vectors have as many numbers as those that the file holds.

        Raises:
            UserError: they have not: a server may change the model behind a name.
        """
        self.check(database)
        width = database.execute("SELECT dimensions FROM state").fetchone()[0]
        for vector in vectors:
            if width is None:
                width = len(vector) // 2
                database.execute("UPDATE state SET dimensions = ?", (width,))
            if len(vector) != 2 * width:
                raise UserError(
                    f"{self._path}: the embedder now gives {len(vector) // 2} dimensions, and the "
                    f"store has {width}; reindex it"
                )


def default_name() -> str:
    """Name of the embedder of a new store that is given none."""
    return make_embedder(DEFAULT).name


def _hashing(held: str) -> Embedder | None:
    """The embedder of this name, where it is one that needs nothing but its size."""
    kind, _, size = held.partition(":")
    if not kind.startswith("hashing-"):
        return None
    made = make_embedder(f"hashing:{size}")
    return made if made.name == held else None


def _other(path: Path, held: str, given: str) -> UserError:
    return UserError(
        f"{path}: its vectors are of the embedder {held!r}, not {given!r}; open it with that one, "
        "or open it without any and call reindex()"
    )
