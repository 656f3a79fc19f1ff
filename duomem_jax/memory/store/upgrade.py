"""Stores of earlier formats, brought to that of today when they are opened."""

import sqlite3

from duomem_jax.memory.store.database import Database
from duomem_jax.memory.store.rows import CONTENT, checksum
from duomem_jax.memory.store.schema import PICTURES, VERSION


def upgrade(database: Database) -> None:
    """Bring the tables of an earlier format up to date, in one transaction."""
    with database.reading() as connection:
        if _version(connection) == VERSION:
            return
    with database.writing() as connection:
        # Others may have done it meanwhile.
        if _version(connection) == 1:
            _add_pictures(connection)


def _version(database: sqlite3.Connection) -> int:
    return database.execute("PRAGMA user_version").fetchone()[0]


def _add_pictures(database: sqlite3.Connection) -> None:
    """From 1 to 2: versions have pictures, which count for their checksums."""
    database.execute(f"ALTER TABLE versions ADD COLUMN {PICTURES}")
    before = [name for name in CONTENT if name != "pictures"]
    rows = database.execute(f"SELECT row, crc32, {', '.join(before)} FROM versions").fetchall()
    for row, crc, *values in rows:
        # One that is damaged keeps a checksum that says so.
        if checksum(values) == crc:
            held = dict(zip(before, values, strict=True)) | {"pictures": "[]"}
            new = checksum([held[name] for name in CONTENT])
            database.execute("UPDATE versions SET crc32 = ? WHERE row = ?", (new, row))
    database.execute("PRAGMA user_version = 2")
