"""Forgetting that leaves nothing in the file."""

import json
import logging
import re
import sqlite3
import time

from duomem_jax.base.database import BUSY_SECONDS
from duomem_jax.base.errors import UserError
from duomem_jax.memory.store.change import matched
from duomem_jax.memory.store.database import Database
from duomem_jax.memory.store.lexical import COUNTED, document
from duomem_jax.memory.store.rows import CONTENT, checksum, shared_pictures

logger = logging.getLogger(__name__)

_SHORT = 8  # letters; shorter texts are also parts of words
_CHOSEN = "IN (SELECT value FROM json_each(?))"


def forget(
    database: Database,
    ids: list[int] | None,
    who: tuple[str, ...] | None,
    before: str | None,
) -> list[int]:
    """Erase memories and their histories; what is given narrows the choice together.

    Returns:
        The ids of those that were erased.

    Raises:
        UserError: another process reads for so long that traces of them stay in the file.
    """
    with database.writing() as connection:
        erased = _chosen(connection, ids, who, before)
        if erased:
            _erase(connection, erased)
        residue = connection.execute("SELECT residue FROM state").fetchone()[0]
    if residue:
        purge(database, BUSY_SECONDS)
    return erased


def _chosen(
    database: sqlite3.Connection,
    ids: list[int] | None,
    who: tuple[str, ...] | None,
    before: str | None,
) -> list[int]:
    conditions, values = ["1"], []
    if ids is not None:
        conditions.append(f"m.id {_CHOSEN}")
        values.append(json.dumps(ids))
    if who is not None:
        conditions.append(f"m.owner {_CHOSEN}")
        values.append(json.dumps(who))
    query = (
        "SELECT m.id FROM memories m JOIN versions v ON v.memory = m.id "
        f"WHERE {' AND '.join(conditions)} GROUP BY m.id HAVING max(v.happened) < ? ORDER BY m.id"
    )
    # The end of all times, as texts are compared.
    rows = database.execute(query, [*values, "~" if before is None else before])
    return [id for (id,) in rows]


def _erase(database: sqlite3.Connection, erased: list[int]) -> None:
    these = (json.dumps(erased),)
    texts: dict[str, set[str]] = {}
    for owner, text in database.execute(
        "SELECT m.owner, v.text FROM versions v JOIN memories m ON m.id = v.memory "
        f"WHERE m.id {_CHOSEN} AND v.text <> ''",
        these,
    ):
        texts.setdefault(owner, set()).add(text)
    of_these = f"(SELECT row FROM versions WHERE memory {_CHOSEN})"
    database.execute(f"DELETE FROM vectors WHERE row IN {of_these}", these)
    database.execute(f"DELETE FROM terms WHERE rowid IN {of_these}", these)
    database.execute(f"DELETE FROM versions WHERE memory {_CHOSEN}", these)
    database.execute(f"DELETE FROM memories WHERE id {_CHOSEN}", these)
    for owner, said in texts.items():
        _clear_contexts(database, owner, said)
    # The index only notes what is deleted, until its parts are merged.
    database.execute("INSERT INTO terms (terms) VALUES ('optimize')")
    database.execute(
        "UPDATE state SET change = change + 1, erasures = erasures + 1, residue = 1, " + COUNTED
    )


def _clear_contexts(database: sqlite3.Connection, owner: str, said: set[str]) -> None:
    """Take what was said out of the contexts of memories that stay."""
    rows = database.execute(
        "SELECT v.row, v.text, m.speaker, m.key, v.context FROM versions v "
        "JOIN memories m ON m.id = v.memory WHERE m.owner = ? AND v.context <> ''",
        (owner,),
    ).fetchall()
    # One search for each text in all contexts, and only what is found is looked for in each.
    everything = "\0".join(row[-1] for row in rows)
    found = [text for text in said if text in everything]
    found.sort(key=len, reverse=True)
    for row, text, speaker, key, context in rows if found else []:
        cleared = context
        for part in found:
            if len(part) >= _SHORT:
                cleared = cleared.replace(part, "")
            elif part in cleared:
                cleared = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "", cleared)
        if cleared != context:
            _set_context(database, row, cleared)
            words = document(matched(text, speaker, key), cleared)
            database.execute("UPDATE terms SET words = ? WHERE rowid = ?", (" ".join(words), row))


def _set_context(database: sqlite3.Connection, row: int, context: str) -> None:
    columns = ", ".join(CONTENT)
    held = database.execute(f"SELECT {columns} FROM versions WHERE row = ?", (row,)).fetchone()
    place = CONTENT.index("context")
    database.execute(
        "UPDATE versions SET context = ?, crc32 = ? WHERE row = ?",
        (context, checksum((*held[:place], context, *held[place + 1 :])), row),
    )


def purge(database: Database, patience: float) -> None:
    """Rewrite the file, so that nothing is left of what was erased, and remove its pictures.

    SQLite overwrites what it deletes with zeros (`secure_delete`), but leaves copies where it moves
    rows within a page. VACUUM writes all pages again, and the write-ahead log, which still has
    the old ones, is emptied.

    Args:
        database: with something erased.
        patience: seconds that others may still read the old pages.

    Raises:
        UserError: they did so for longer.
    """
    deadline = time.monotonic() + patience
    with database.reading() as connection:
        try:
            connection.execute("VACUUM")
            # SQLite waits by itself, but not for a reader that came while it waited.
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > deadline:
                    raise _left(database)
                time.sleep(0.05)
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise _left(database) from e
    # Pictures are kept while the file is locked for writing, so none of another process's is lost.
    with database.writing() as connection:
        database.pictures.retain(shared_pictures(connection))
        connection.execute("UPDATE state SET residue = 0")


def _left(database: Database) -> UserError:
    return UserError(
        f"{database.path}: erased, but another process has used the old state for so long that "
        "traces are left in the file; end that process and open the store again, which completes "
        "this"
    )


def complete(database: Database) -> None:
    """Finish a purge that was killed or kept from its end."""
    with database.reading() as connection:
        if not connection.execute("SELECT residue FROM state").fetchone()[0]:
            return
        connection.execute("PRAGMA busy_timeout = 1000")
        try:
            purge(database, 1)
        except UserError as e:
            logger.warning("%s: traces of what was forgotten are left: %s", database.path, e)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
