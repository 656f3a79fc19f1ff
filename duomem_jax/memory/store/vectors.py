"""Vectors of all memories in the process's own memory, kept up with the file."""

import sqlite3
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from duomem_jax.base.database import damaged
from duomem_jax.memory.retrieve.protocol import Vectors
from duomem_jax.memory.store.database import REMEDY
from duomem_jax.memory.store.where import Where

_EVERYTHING = Where()


class VectorCache:
    """What is live, in the order of ids.

    What it has given away is never written to: additions go behind it, and everything else makes a
    new array. So a thread may go on with its vectors while another one changes the store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._change, self._erasures = -1, 0
        self._size = 0
        self._ids_M = np.zeros(0, np.int64)
        self._vectors_ME = np.zeros((0, 0), np.float32)
        self._part: tuple[tuple, Vectors] | None = None

    def get(self, database: sqlite3.Connection, part: Where) -> Vectors:
        """The vectors of a part of the store, as it is in this transaction.

        Raises:
            UserError: one differs from its checksum.
        """
        if part.at is not None:
            return self._as_of(database, part)
        # Damage may change the type of a value.
        query = (
            "SELECT CAST(change AS INTEGER), CAST(erasures AS INTEGER), "
            "CAST(dimensions AS INTEGER) FROM state"
        )
        change, erasures, width = database.execute(query).fetchone()
        if (change, erasures) != (self._change, self._erasures):
            self._refresh(database, erasures, width or 0)
            self._change, self._erasures = change, erasures
        everything = Vectors(self._ids_M[: self._size], self._vectors_ME[: self._size])
        if part == _EVERYTHING:
            return everything
        # The same person asks many times between two changes.
        key = (part, change, erasures)
        if self._part is None or self._part[0] != key:
            self._part = key, self._choose(database, part, everything)
        return self._part[1]

    def _choose(self, database: sqlite3.Connection, part: Where, everything: Vectors) -> Vectors:
        condition, values = part.sql()
        ids_M = _column(
            database.execute(
                "SELECT m.id FROM versions v JOIN memories m ON m.id = v.memory "
                f"WHERE {condition} ORDER BY m.id",
                values,
            )
        )
        if len(ids_M) == len(everything.ids_M):
            return everything
        rows_M = np.searchsorted(everything.ids_M, ids_M)
        return Vectors(ids_M, everything.vectors_ME[rows_M])

    def _as_of(self, database: sqlite3.Connection, part: Where) -> Vectors:
        condition, values = part.sql()
        rows = database.execute(
            "SELECT m.id, x.vector, x.crc32 FROM versions v JOIN memories m ON m.id = v.memory "
            f"JOIN vectors x ON x.row = v.row WHERE {condition} ORDER BY m.id",
            values,
        ).fetchall()
        width = database.execute("SELECT CAST(dimensions AS INTEGER) FROM state").fetchone()[0] or 0
        ids_M = np.array([id for id, _, _ in rows], np.int64)
        return Vectors(ids_M, self._decode((row[1:] for row in rows), width))

    def _refresh(self, database: sqlite3.Connection, erasures: int, width: int) -> None:
        if erasures != self._erasures or width != self._vectors_ME.shape[1]:
            # Rows have gone, or all have other vectors: both are rare, and slow anyway.
            self._change, self._size = -1, 0
            self._ids_M, self._vectors_ME = np.zeros(0, np.int64), np.zeros((0, width), np.float32)
        rows = database.execute(
            "SELECT v.memory, v.live, x.vector, x.crc32 FROM versions v "
            "LEFT JOIN vectors x ON x.row = v.row WHERE v.change > ? ORDER BY v.row",
            (self._change,),
        )
        # The last row of a memory says what it is now.
        latest = {memory: (vector, crc) if live else None for memory, live, vector, crc in rows}
        if not all(isinstance(memory, int) for memory in latest):
            raise damaged(self._path, "an id is no number", REMEDY)
        ids = np.array(sorted(latest), np.int64)
        held_M = np.append(self._ids_M[: self._size], -1)
        known = held_M[np.searchsorted(held_M[:-1], ids)] == ids
        old = ids[known].tolist()
        new = [memory for memory in ids[~known].tolist() if latest[memory]]
        if old:
            self._replace(old, latest, width)
        self._append(new, self._decode((latest[memory] or () for memory in new), width))

    def _keep(self, kept_M: np.ndarray) -> None:
        self._ids_M = self._ids_M[: self._size][kept_M]
        self._vectors_ME = self._vectors_ME[: self._size][kept_M]
        self._size = len(self._ids_M)

    def _replace(
        self, old: list[int], latest: dict[int, tuple[bytes, int] | None], width: int
    ) -> None:
        changed = [memory for memory in old if latest[memory]]
        gone = [memory for memory in old if not latest[memory]]
        kept_M = ~np.isin(self._ids_M[: self._size], np.array(gone, np.int64))
        self._keep(kept_M)
        rows_M = np.searchsorted(self._ids_M, np.array(changed, np.int64))
        self._vectors_ME[rows_M] = self._decode((latest[m] or () for m in changed), width)

    def _append(self, ids: list[int], vectors_ME: np.ndarray) -> None:
        end = self._size + len(ids)
        if end > len(self._ids_M):
            room = end + max(64, min(end // 2, 2**16))  # memory is taken when it is written to
            ids_M, self._ids_M = self._ids_M, np.zeros(room, np.int64)
            held_ME, self._vectors_ME = (
                self._vectors_ME,
                np.zeros((room, vectors_ME.shape[1]), np.float32),
            )
            self._ids_M[: self._size] = ids_M[: self._size]
            self._vectors_ME[: self._size] = held_ME[: self._size]
        self._ids_M[self._size : end] = ids
        self._vectors_ME[self._size : end] = vectors_ME
        self._size = end

    def _decode(self, rows: Iterable[tuple], width: int) -> np.ndarray:
        """Stored vectors as float32[M, E]."""
        parts = []
        for vector, crc in rows:
            if not is_intact(vector, crc) or len(vector) != 2 * width:
                raise damaged(self._path, "a vector differs from its checksum", REMEDY)
            parts.append(vector)
        flat = np.frombuffer(b"".join(parts), "<f2")
        return flat.reshape(len(parts), width).astype(np.float32)


def is_intact(vector: Any, crc: Any) -> bool:
    """Whether a stored vector is what was written."""
    return isinstance(vector, bytes) and zlib.crc32(vector) == crc


def _column(rows: Iterable[tuple[int]]) -> np.ndarray:
    return np.fromiter((value for (value,) in rows), np.int64)
