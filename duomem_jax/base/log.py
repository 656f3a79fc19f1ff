"""A log of finished work in one SQLite file, so that a killed process loses at most one unit.

Units of a dataset's shard, paid answers, embedded blocks and rows of results all go through here
before anything else relies on them.

A shared log has SQLite's default, a rollback journal: it may be read while it is written, on other
hosts too. That takes two or three syncs a unit, 1 to 15 ms on the disks at hand. Where nobody else
reads, and stages that only copy store thousands of units a second, units go to a write-ahead log
instead, which is synced now and then; the memory it would share with readers, which network folders
do not have, stays in the process as long as that keeps the file to itself.

A killed process loses nothing that was committed at any level of `synchronous`, since the system
keeps what it was given. The syncs are for a power cut, which at NORMAL may undo the last units but
leaves a sound file.
"""

import contextlib
import json
import sqlite3
import threading
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from duomem_jax.base.config import differences
from duomem_jax.base.database import (
    check_structure,
    connect,
    damaged,
    explain_database_errors,
)
from duomem_jax.base.errors import UserError
from duomem_jax.base.lock import lock_for_writing, unlock
from duomem_jax.base.parse import parse_json

_APPLICATION = 0x64756F6D  # "duom", which marks the file as one of ours
_SCHEMA = (
    f"PRAGMA application_id = {_APPLICATION}",
    # One row: the JSON of what the records depend on.
    "CREATE TABLE config (id INTEGER PRIMARY KEY CHECK (id = 0), facts TEXT NOT NULL)",
    "CREATE TABLE units (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE)",
    # SQLite checks the tree that values hang on, not the values: crc32 is of key and content.
    "CREATE TABLE records (id INTEGER PRIMARY KEY, unit INTEGER NOT NULL, content BLOB NOT NULL, "
    "crc32 INTEGER NOT NULL)",
    "CREATE INDEX records_of_unit ON records (unit)",
    "CREATE TABLE counts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, total INTEGER)",
)
_RECORDS = "SELECT key, content, crc32 FROM records JOIN units ON records.unit = units.id"
# A log that is not shared keeps its file to itself: only its own connection can copy it.
_OPEN: "weakref.WeakValueDictionary[Path, Log]" = weakref.WeakValueDictionary()


class Log:
    """Units of records by key, and the sums of their counts; a context manager.

    A unit is one transaction: all of its records and counts are there, or none. Many threads may
    append; a second writer, in this process or another, is refused.

    Attributes:
        path: the SQLite file; while it is open for writing, `<path>.lock` lies beside it.

    Raises:
        UserError: somebody else writes it, its records were made by another configuration, it is
            damaged, or the disk is full.
    """

    def __init__(
        self, path: Path, config: Mapping[str, Any] | None = None, *, shared: bool = False
    ) -> None:
        """Open or begin a log.

        Args:
            path: the file; its folder is made.
            config: what the records depend on; JSON. A log that holds a unit keeps its own.
            shared: `read_log` works meanwhile, on other hosts too; appending takes longer.
        """
        self.path = path
        self._mutex = threading.Lock()
        # Before the file is opened, so that a second writer changes nothing in it.
        self._lock = lock_for_writing(path)
        try:
            with explain_database_errors(path):
                self._database = connect(path, "rwc")
                # Set before SQLite's first look at a file in WAL mode, this keeps the WAL's index
                # in the process; set later, the index still goes to shared memory.
                if not shared:
                    self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._database.execute("PRAGMA synchronous = NORMAL")
                _check(self._database, path)
                # After the check: a database of somebody else keeps the mode that it had.
                if not shared:
                    self._database.execute("PRAGMA journal_mode = WAL")
            # As JSON gives it back, or a tuple would differ from the list that is stored.
            self._claim(json.loads(json.dumps(config or {})))
        except BaseException:
            self.close()
            raise
        _OPEN[path.resolve()] = self

    def _claim(self, config: dict[str, Any]) -> None:
        with self._transaction() as database:
            if not _has_tables(database):
                for statement in _SCHEMA:
                    database.execute(statement)
            known = _config(database, self.path)
            if known == config:
                return
            # A log without units binds nobody: its first run may have failed at once.
            if _count_units(database):
                refuse_other_config(self.path, known, config)
            text = json.dumps(config, sort_keys=True)
            database.execute("REPLACE INTO config VALUES (0, ?)", (text,))

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __contains__(self, key: str) -> bool:
        query = "SELECT 1 FROM units WHERE key = ?"
        return bool(self._select(query, key))

    # Not __len__, by which an empty log would be false.
    @property
    def units(self) -> int:
        """Number of units."""
        with self._reading():
            return _count_units(self._database)

    def keys(self) -> list[str]:
        """Keys in sorted order, so that the result does not depend on the order of finishing."""
        return [key for (key,) in self._select("SELECT key FROM units ORDER BY key")]

    @property
    def counts(self) -> dict[str, int]:
        """Sums over all units, by name in the order of their first appearance."""
        return dict(self._select("SELECT name, total FROM counts ORDER BY id"))

    def append(self, key: str, records: Sequence[bytes], counts: Mapping[str, int]) -> None:
        """Add one unit, which is safe from a kill when this returns.

        Raises:
            ValueError: the key is there already.
            UserError: the disk is full; nothing of the unit is kept.
        """
        with self._transaction() as database:
            try:
                unit = database.execute("INSERT INTO units (key) VALUES (?)", (key,)).lastrowid
            except sqlite3.IntegrityError:
                raise ValueError(f"{key} is already in {self.path}") from None
            database.executemany(
                "INSERT INTO records (unit, content, crc32) VALUES (?, ?, ?)",
                ((unit, record, _checksum(key, record)) for record in records),
            )
            database.executemany(
                "INSERT INTO counts (name, total) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET total = total + excluded.total",
                counts.items(),
            )

    def read(self, key: str) -> list[bytes]:
        """The records of one unit; none where there is no such unit."""
        query = f"{_RECORDS} WHERE key = ? ORDER BY records.id"
        return _intact(self._select(query, key), self.path)

    def records(self) -> list[bytes]:
        """The records of all units, in the order of appending."""
        with self._reading():
            return _records(self._database, self.path)

    def copy(self, target: Path) -> None:
        """Write what it holds at this moment to a new file; appending waits meanwhile."""
        with self._reading(), contextlib.closing(sqlite3.connect(target)) as database:
            self._database.backup(database)

    def close(self) -> None:
        """Let others write; the file stays."""
        _OPEN.pop(self.path.resolve(), None)
        # Opening it may be what failed. The database first, so that its journal is gone when the
        # next writer comes.
        if hasattr(self, "_database"):
            self._database.close()
        unlock(self._lock)

    def _select(self, query: str, *values: str) -> list[Any]:
        with self._reading():
            return self._database.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._mutex, explain_database_errors(self.path):
            yield

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # The connection's own context commits at the end and rolls back on an error.
        with self._mutex, explain_database_errors(self.path), self._database as database:
            # The write lock is taken here, where SQLite waits for it. A plain BEGIN takes it at the
            # first change, and after a read may be refused it at once.
            database.execute("BEGIN IMMEDIATE")
            yield database


def open_log(path: Path) -> Log | None:
    """The log that this process writes at a path."""
    return _OPEN.get(path.resolve())


def read_log(path: Path) -> tuple[dict[str, Any], list[bytes]]:
    """Configuration and records of a shared log at one moment; its writer may be at work.

    Raises:
        UserError: it is missing, damaged or something else.
    """
    with explain_database_errors(path), contextlib.closing(connect(path, "rw")) as database:
        database.execute("BEGIN")  # both queries see the same state
        _check(database, path)
        if not _has_tables(database):  # its writer is just making it
            return {}, []
        return _config(database, path), _records(database, path)


def refuse_other_config(path: Path, theirs: dict[str, Any], mine: dict[str, Any]) -> None:
    """Compare the configuration that a log was made by with the one at hand.

    Raises:
        UserError: names what differs.
    """
    mine = json.loads(json.dumps(mine))
    if theirs != mine:
        keys = [name for name, _, _ in differences(mine, theirs)]
        raise UserError(
            f"{path}: made by another configuration (different: {', '.join(keys)}); "
            "choose another output folder or delete this file"
        )


def _check(database: sqlite3.Connection, path: Path) -> None:
    """Look before anything is changed.

    Raises:
        UserError: the file is damaged, or a database of somebody else.
    """
    ((application,),) = database.execute("PRAGMA application_id")
    if _has_tables(database) and application != _APPLICATION:
        raise UserError(f"{path}: a database, but not one of duomem's logs; choose another file")
    check_structure(database, path)


def _has_tables(database: sqlite3.Connection) -> bool:
    return bool(database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _config(database: sqlite3.Connection, path: Path) -> dict[str, Any]:
    row = database.execute("SELECT facts FROM config").fetchone()
    try:
        return parse_json(row[0]) if row else {}
    except (ValueError, TypeError) as e:
        raise damaged(path, e) from e


def _count_units(database: sqlite3.Connection) -> int:
    return database.execute("SELECT count(*) FROM units").fetchone()[0]


def _records(database: sqlite3.Connection, path: Path) -> list[bytes]:
    return _intact(database.execute(f"{_RECORDS} ORDER BY records.id"), path)


def _intact(rows: Iterable[tuple[Any, Any, Any]], path: Path) -> list[bytes]:
    contents = []
    for key, content, checksum in rows:
        # A damaged byte may also change a value's type.
        if not isinstance(content, bytes) or _checksum(key, content) != checksum:
            raise damaged(path, "a record differs from its checksum")
        contents.append(content)
    return contents


def _checksum(key: str, content: bytes) -> int:
    # The key counts too, so that a record cannot turn up under another one. It may be damaged into
    # something that is no text.
    return zlib.crc32(content, zlib.crc32(str(key).encode()))
