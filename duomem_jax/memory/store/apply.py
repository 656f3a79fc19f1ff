"""Operations on their way into a store: embedded first, then all in one transaction."""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from duomem_jax.memory.operations.records import Add, Update
from duomem_jax.memory.store.change import (
    Change,
    NotEmbeddedError,
    Step,
    changes,
    identity,
    matched,
)
from duomem_jax.memory.store.database import Database
from duomem_jax.memory.store.entry import Applied
from duomem_jax.memory.store.rows import MEMORY, checksum, entries_by_id
from duomem_jax.memory.store.space import Space
from duomem_jax.memory.store.where import Where

logger = logging.getLogger(__name__)


def apply(
    database: Database,
    space: Space,
    steps: Sequence[Step],
    written: str,
    files: Mapping[str, bytes],
) -> list[Applied]:
    """Carry out operations in order, or none of them.

    Args:
        database: the store.
        space: makes the vectors, before the file is locked: that may take long.
        steps: what to do.
        written: the write time.
        files: of the steps' pictures, by their names.

    Raises:
        UserError: the embedder fails, the disk is full.
    """
    with database.snapshot() as connection:
        needed = list(_to_embed(connection, database, steps))
    vectors = space.embed(needed)
    while steps:
        try:
            with database.writing() as connection:
                space.claim(connection, vectors.values())
                change = Change(connection, database.path, written, vectors)
                applied = [change.apply(step) for step in steps]
                change.finish()
                # Before the memories that have them, and while no other process can forget any.
                # Those of a call that is killed here stay until the next `forget`.
                for name in change.shown & files.keys():
                    database.pictures.keep(files[name])
            return applied
        except NotEmbeddedError as e:  # others have changed what was known
            vectors |= space.embed([e.text])
    return []


def _to_embed(
    connection: sqlite3.Connection, database: Database, steps: Sequence[Step]
) -> Iterator[str]:
    """What is probably new: what is known already needs no vector."""
    query = "SELECT 1 FROM versions WHERE identity = ? AND live"
    for step in steps:
        match step.operation:
            case Add(str(text), str(speaker), tuple(), _, str(kind), str(key)) if text:
                pictures = step.added(step.operation)
                same = identity(text, speaker, step.origin.owner, kind, key, pictures)
                if not connection.execute(query, (same,)).fetchone():
                    yield matched(text, speaker, key)
            case Update(int(id), str(text), tuple()) if text and abs(id) < 2**63:
                for known in entries_by_id(connection, database.path, [id], Where()).values():
                    if changes(step.operation, known):
                        yield matched(text, known.speaker, known.key)


def credit(database: Database, ids: Iterable[int], success: bool) -> None:
    """Count one use of each memory, and whether it ended well."""
    columns = ", ".join(MEMORY)
    with database.writing() as connection:
        for id in ids:
            query = f"SELECT {columns} FROM memories WHERE id = ?"
            row = connection.execute(query, (id,)).fetchone()
            if row is None:
                logger.warning("%s: no memory %d to credit", database.path, id)
                continue
            values = (*row[:-2], row[-2] + 1, row[-1] + bool(success))
            connection.execute(
                "UPDATE memories SET uses = ?, successes = ?, crc32 = ? WHERE id = ?",
                (*values[-2:], checksum(values), id),
            )
