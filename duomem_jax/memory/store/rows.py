"""Rows of the tables as records, each with a checksum of what it holds."""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from duomem_jax.base.database import damaged
from duomem_jax.base.parse import parse_json
from duomem_jax.memory.store.database import REMEDY
from duomem_jax.memory.store.entry import DELETE, Entry, Shared, Version
from duomem_jax.memory.store.where import Where

# Of a version, in the order of its checksum: SQLite checks the tree that rows hang on, not them.
CONTENT = (
    "memory",
    "number",
    "operation",
    "text",
    "context",
    "evidence",
    "pictures",
    "session",
    "writer",
    "note",
    "happened",
    "written",
    "until",
    "live",
)
MEMORY = ("id", "owner", "speaker", "kind", "key", "uses", "successes")
_COLUMNS = ", ".join([*(f"m.{c}" for c in MEMORY), "m.crc32", *(f"v.{c}" for c in CONTENT)])
SELECT = (
    f"SELECT {_COLUMNS}, v.crc32, v.row FROM versions v JOIN memories m ON m.id = v.memory WHERE "
)
_TYPES = [int, str, str, str, str, int, int, int, int, int, *[str] * 10]


def checksum(values: Sequence[Any]) -> int:
    """CRC-32 of some columns."""
    # Damage may make any value bytes, which JSON has not.
    return zlib.crc32(json.dumps(list(values), default=repr).encode())


def entries(database: sqlite3.Connection, path: Path, part: Where) -> list[Entry]:
    """The memories of a part of the store, by id.

    Raises:
        UserError: one differs from its checksum.
    """
    condition, values = part.sql()
    rows = database.execute(f"{SELECT}{condition} ORDER BY m.id", values)
    return [_entry(row) for row in intact(rows, path)]


def entries_by_id(
    database: sqlite3.Connection, path: Path, ids: Iterable[int], part: Where
) -> dict[int, Entry]:
    """Those of some memories that are in a part of the store.

    Raises:
        UserError: one differs from its checksum.
    """
    condition, values = part.sql()
    # As JSON, since a statement takes a limited number of values.
    chosen = f"{SELECT}m.id IN (SELECT value FROM json_each(?)) AND {condition}"
    rows = database.execute(chosen, [json.dumps([int(i) for i in ids]), *values])
    return {row[0]: _entry(row) for row in intact(rows, path)}


def versions(database: sqlite3.Connection, path: Path, memory: int) -> list[Version]:
    """The history of a memory; nothing where it was forgotten or never there.

    Raises:
        UserError: one row differs from its checksum.
    """
    rows = database.execute(f"{SELECT}m.id = ? ORDER BY v.number", (memory,))
    return [_version(row) for row in intact(rows, path)]


def shared_pictures(database: sqlite3.Connection) -> set[str]:
    """The names of all pictures that a memory has, or had in a version of its history."""
    rows = database.execute("SELECT DISTINCT pictures FROM versions WHERE pictures <> '[]'")
    return {shared["sha256"] for (text,) in rows for shared in parse_json(text)}


def intact(rows: Iterable[tuple], path: Path) -> Iterator[tuple]:
    """Rows of `SELECT` that are as they were written.

    Raises:
        UserError: one differs from its checksum.
    """
    n = len(MEMORY)
    for row in rows:
        # A damaged byte may also change a value's type.
        known = all(isinstance(v, t) for v, t in zip(row, _TYPES, strict=False))
        sound = known and checksum(row[:n]) == row[n] and checksum(row[n + 1 : -2]) == row[-2]
        if not sound:
            raise damaged(path, f"memory {row[0]} differs from its checksum", REMEDY)
        yield row


def _entry(row: tuple) -> Entry:
    id, owner, speaker, kind, key, uses, successes = row[: len(MEMORY)]
    made = _version(row)
    context = row[len(MEMORY) + 1 + CONTENT.index("context")]
    return Entry(
        id=id,
        text=made.text,
        speaker=speaker,
        owner=owner,
        session=made.session,
        evidence=made.evidence,
        writer=made.writer,
        happened=made.happened,
        written=made.written,
        version=made.version,
        context=context,
        kind=kind,
        key=key,
        note=made.note,
        uses=uses,
        successes=successes,
        pictures=made.pictures,
    )


def _version(row: tuple) -> Version:
    value = dict(zip(CONTENT, row[len(MEMORY) + 1 :], strict=False))
    return Version(
        id=value["memory"],
        version=value["number"],
        operation=value["operation"],
        text="" if value["operation"] == DELETE else value["text"],
        evidence=tuple(parse_json(value["evidence"])),
        session=value["session"],
        writer=value["writer"],
        happened=value["happened"],
        written=value["written"],
        note=value["note"],
        pictures=tuple(Shared(**shared) for shared in parse_json(value["pictures"])),
    )
