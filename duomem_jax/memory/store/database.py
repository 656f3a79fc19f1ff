"""The file of a store: opened or made, read by many, written by one at a time."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from duomem_jax.base.database import (
    BUSY_SECONDS,
    check_structure,
    connect,
    explain_database_errors,
)
from duomem_jax.base.errors import UserError
from duomem_jax.base.io import clear_os_errors, is_remote
from duomem_jax.memory.store import schema
from duomem_jax.records.pictures import PictureFolder

REMEDY = "take a copy or an export of it that is whole"
_CACHE_KIB = 64 * 1024  # SQLite's own 2 MB make it read the index again for every query
_HEADER = 100  # bytes that every database has
_MAPPED = 2**31  # bytes at most; they are the system's, not the process's


class Database:
    """One connection, which threads take turns at.

    Attributes:
        path: the SQLite file; while it is open, `-wal` and `-shm` lie beside it.
        pictures: a folder beside it, which is there where a memory has a picture.

    Raises:
        UserError: it is somebody else's, damaged, of a later version, or cannot be opened.
    """

    def __init__(
        self, path: str | os.PathLike, embedder: str, terms: str, make: bool = True
    ) -> None:
        """Open a store or make one.

        Args:
            path: the file; its folder is made.
            embedder: the name that a new store is given for the space of its vectors.
            terms: the name of what splits its texts.
            make: a missing one is made.
        """
        if is_remote(path):
            raise UserError(f"{path}: a store is a local file; copy it here and back, or export it")
        self.path, self.pictures = Path(path), PictureFolder.beside(path)
        self._process = os.getpid()
        self._mutex = threading.RLock()
        if make:
            with clear_os_errors(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not self.path.exists():
            raise _missing(self.path)
        with explain_database_errors(self.path, REMEDY):
            self._connection = connect(self.path, "rwc")
            try:
                self._open(embedder, terms, make)
            except BaseException:
                self._connection.close()
                raise

    def _open(self, embedder: str, terms: str, make: bool) -> None:
        # Looked at before anything is changed: the file may be somebody else's. In a transaction,
        # which sees one state: another process may be making it just now.
        with self._connection as database:
            database.execute("BEGIN")
            made = _is_ours(database, self.path)
        if not made and not make:
            raise _missing(self.path)
        if not made:
            with self._connection as database:
                database.execute("BEGIN IMMEDIATE")
                # Others may have made it meanwhile. In one transaction, so that none is half made.
                if not _is_ours(database, self.path):
                    for statement in schema.STATEMENTS:
                        database.execute(statement)
                    values = (embedder, terms)
                    database.execute(
                        "INSERT INTO state (id, embedder, terms) VALUES (0, ?, ?)", values
                    )
        _use_wal(self._connection, self.path)
        # A kill loses nothing at any level; a power cut may undo the last transactions, but leaves
        # a sound file. FULL would wait for the disk at each of them.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._connection.execute(f"PRAGMA mmap_size = {_MAPPED}")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for single statements."""
        if os.getpid() != self._process:
            # SQLite's locks are not inherited: two processes on one connection damage the file.
            raise UserError(f"{self.path}: opened before this process was forked; open it again")
        with self._mutex, explain_database_errors(self.path, REMEDY):
            yield self._connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """The connection, for statements that see one state, whatever others write meanwhile."""
        with self.reading() as database, database:
            database.execute("BEGIN")
            yield database

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection, for statements that take effect together, or not at all."""
        # The connection's own context commits at the end and rolls back on an error.
        with self.reading() as database, database:
            # Here SQLite waits for others. A plain BEGIN takes the lock at the first change, and
            # after a read may be refused it at once.
            database.execute("BEGIN IMMEDIATE")
            yield database

    def check(self) -> None:
        """Read the file to its end.

        Raises:
            UserError: it is damaged.
        """
        with self.reading() as database:
            check_structure(database, self.path, REMEDY)
            database.execute("INSERT INTO terms (terms) VALUES ('integrity-check')")

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        with self._mutex:
            if os.getpid() == self._process:
                self._connection.close()


def _is_ours(database: sqlite3.Connection, path: Path) -> bool:
    """Whether it is a store; False for a file without tables. Needs a transaction.

    Raises:
        UserError: it is another database, or of a later version.
    """
    ((tables,),) = database.execute("SELECT count(*) FROM sqlite_master")
    ((application,),) = database.execute("PRAGMA application_id")
    ((version,),) = database.execute("PRAGMA user_version")
    # A few bytes of somebody else's are an empty database to SQLite.
    other = tables or application or version or 0 < path.stat().st_size < _HEADER
    if application != schema.APPLICATION and other:
        raise UserError(f"{path}: a database, but not a store of memories; choose another file")
    if tables and not 1 <= version <= schema.VERSION:
        raise UserError(
            f"{path}: a store of format {version}, and this duomem_jax knows {schema.VERSION}; "
            "use the version that wrote it, and export there"
        )
    return bool(tables)


def _missing(path: Path) -> UserError:
    return UserError(f"{path}: no store of memories is there; correct the path")


def _use_wal(database: sqlite3.Connection, path: Path) -> None:
    # Changing the mode takes the file for itself, and here SQLite does not wait for others who do
    # the same: all who open a new store at once.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            ((mode,),) = database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise UserError(
                f"{path}: this file system cannot share memory, which a store needs; choose a "
                "local folder"
            )
        return
