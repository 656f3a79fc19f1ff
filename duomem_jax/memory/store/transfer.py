"""A store as JSON Lines, and back, bit for bit.

The first line says what it is and in which space its vectors are; each further line is one memory
with all its versions. A line's checksum may be left out, for those who edit one by hand. Pictures
lie in a folder beside the file, as they lie beside a store.
"""

import base64
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from duomem_jax.base.database import damaged
from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.fields import check_value
from duomem_jax.base.io import atomic_dir, atomic_file
from duomem_jax.base.parse import parse_json
from duomem_jax.base.times import utc
from duomem_jax.memory.operations.records import KINDS
from duomem_jax.memory.store.change import identity, index_version, insert_version, matched
from duomem_jax.memory.store.database import REMEDY, Database
from duomem_jax.memory.store.entry import ADD, DELETE, UPDATE, Shared
from duomem_jax.memory.store.lexical import COUNTED
from duomem_jax.memory.store.rows import (
    CONTENT,
    MEMORY,
    SELECT,
    checksum,
    intact,
    shared_pictures,
)
from duomem_jax.memory.store.vectors import is_intact
from duomem_jax.records.pictures import PictureFolder

FORMAT = "duomem-store"
WORDS, VERSION = 1, 2  # without pictures, so that earlier versions of this package read it; with
_VERSION_FIELDS = CONTENT[2:-2]  # the rest follows from the order


class _Header(TypedDict):
    format: str
    version: int
    embedder: str
    dimensions: int | None
    next_id: int
    memories: int


class _Shared(TypedDict):
    turn: str
    speaker: str
    sha256: str


class _Version(TypedDict):
    operation: str
    text: str
    context: str
    evidence: list[str]
    session: str
    writer: str
    note: str
    happened: str
    written: str
    vector: str | None
    pictures: NotRequired[list[_Shared]]


class _Memory(TypedDict):
    id: int
    owner: str
    speaker: str
    kind: str
    key: str
    uses: int
    successes: int
    versions: list[_Version]
    crc32: NotRequired[int]


def export(database: Database, path: Path) -> int:
    """Write all memories and their histories to a new file.

    Returns:
        The number of memories, with those that are deleted but not forgotten.

    Raises:
        UserError: the file or its folder is there already or cannot be written, the store is
            damaged, or a picture is missing.
    """
    _check_new(path)
    with atomic_file(path) as file, database.snapshot() as connection:
        shared = shared_pictures(connection)
        header = _header(connection, VERSION if shared else WORDS)
        file.write(_line(dict(header)))
        for memory in memories(connection, database.path):
            file.write(_line(memory | {"crc32": zlib.crc32(_line(memory))}))
        _check_new(path)
        if shared:
            _copy(database.pictures, shared, PictureFolder.beside(path))
    return header["memories"]


def _copy(pictures: PictureFolder, names: Iterable[str], to: PictureFolder) -> None:
    with atomic_dir(to.folder) as folder:
        for name in names:
            PictureFolder(folder).keep(pictures.path(name).read_bytes())


def _header(database: sqlite3.Connection, version: int) -> _Header:
    name, dimensions = database.execute("SELECT embedder, dimensions FROM state").fetchone()
    ((memories,),) = database.execute("SELECT count(*) FROM memories")
    last = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'memories'").fetchone()
    return {
        "format": FORMAT,
        "version": version,
        "embedder": name,
        "dimensions": dimensions,
        "next_id": last[0] + 1 if last else 1,
        "memories": memories,
    }


def memories(database: sqlite3.Connection, path: Path) -> Iterator[dict[str, Any]]:
    """All memories as they are exported, by id.

    Raises:
        UserError: one is damaged.
    """
    memory: dict[str, Any] = {}
    for row in intact(database.execute(f"{SELECT}1 ORDER BY m.id, v.number"), path):
        if memory.get("id") != row[0]:
            if memory:
                yield memory
            memory = {**dict(zip(MEMORY, row, strict=False)), "versions": []}
        held = dict(zip(CONTENT, row[len(MEMORY) + 1 :], strict=False))
        version = {name: held[name] for name in _VERSION_FIELDS}
        version["evidence"] = parse_json(held["evidence"])
        version["pictures"] = parse_json(held["pictures"])
        if not version["pictures"]:
            del version["pictures"]
        query = "SELECT vector, crc32 FROM vectors WHERE row = ?"
        found = database.execute(query, (row[-1],)).fetchone()
        if (found is None) != (version["operation"] == DELETE) or (found and not is_intact(*found)):
            raise damaged(path, f"a vector of memory {row[0]}", REMEDY)
        version["vector"] = base64.b64encode(found[0]).decode() if found else None
        memory["versions"].append(version)
    if memory:
        yield memory


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def import_(database: Database, path: Path, embedder: str | None) -> tuple[int, str]:
    """Fill an empty store from a file that `export` wrote; all of it, or nothing.

    Args:
        database: the store.
        path: the file.
        embedder: what the store was opened with; None: any will do.

    Returns:
        The number of memories, and the name of the embedder.

    Raises:
        UserError: the store is not empty, was opened with another embedder than that of the file,
            a line is damaged, or a picture is missing.
    """
    try:
        with open(path, "rb") as file, database.writing() as connection:
            ((held,),) = connection.execute("SELECT count(*) FROM memories")
            if held:
                raise UserError(f"{database.path}: holds {held} memories; import into a new store")
            lines = enumerate(file, 1)
            header = _read_header(lines, path, embedder)
            count = _fill(connection, lines, header, path)
            last = ("memories", header["next_id"] - 1)
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'memories'")
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", last)
            connection.execute(  # counted as an erasure: caches are dropped
                "UPDATE state SET change = change + 1, erasures = erasures + 1, embedder = ?, "
                f"dimensions = ?, {COUNTED}",
                (header["embedder"], header["dimensions"]),
            )
            # The last thing that can fail: what is refused leaves no pictures behind.
            if shared := shared_pictures(connection):
                database.pictures.retain(())
                _copy(PictureFolder.beside(path), shared, database.pictures)
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); give an exported file") from None
    return count, header["embedder"]


def _check_new(path: Path) -> None:
    if path.exists():
        raise UserError(f"{path}: is there already, and nothing is replaced; give another name")


def _read_header(lines: Iterator[tuple[int, bytes]], path: Path, embedder: str | None) -> _Header:
    _, line = next(lines, (1, b""))
    try:
        header: _Header = parse_json(line)
        check_value(header, _Header)
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, not {FORMAT!r}")
    except (ValueError, TypeError) as e:
        raise UserError(
            f"{path}: line 1: not an exported store ({first_line(e)}); give a file that "
            "Store.export wrote"
        ) from None
    if header["version"] not in (WORDS, VERSION):
        raise UserError(
            f"{path}: format {header['version']}, and this duomem_jax knows {VERSION}; import it "
            "with the version that wrote it"
        )
    if embedder is not None and header["embedder"] != embedder:
        raise UserError(
            f"{path}: its vectors are of the embedder {header['embedder']!r}, and the store was "
            f"opened with {embedder!r}; open it without one, import, then reindex"
        )
    return header


def _fill(
    database: sqlite3.Connection,
    lines: Iterator[tuple[int, bytes]],
    header: _Header,
    path: Path,
) -> int:
    count, last = 0, 0
    for number, line in lines:
        try:
            memory = _read_memory(line, last, header)
            _insert(database, memory)
        except (ValueError, TypeError, sqlite3.IntegrityError) as e:
            raise UserError(
                f"{path}: line {number}: damaged ({first_line(e)}); nothing was imported, so "
                "export again or correct the line and take its crc32 out"
            ) from None
        count, last = count + 1, memory["id"]
    if count != header["memories"]:
        raise UserError(
            f"{path}: {count} memories, and line 1 says {header['memories']}; nothing was "
            "imported, so export again, or correct line 1"
        )
    return count


def _read_memory(line: bytes, last: int, header: _Header) -> _Memory:
    """One line, checked.

    Raises:
        ValueError: it cannot be what was written; TypeError where a value is of another type.
    """
    memory: _Memory = parse_json(line)
    check_value(memory, _Memory)
    claimed = memory.pop("crc32", None)
    if claimed is not None and claimed != zlib.crc32(_line(dict(memory))):
        raise ValueError("it differs from its crc32")
    if not last < memory["id"] < header["next_id"] <= 2**63:
        raise ValueError(f"id {memory['id']} is out of order")
    if memory["kind"] not in KINDS:
        raise ValueError(f"kind {memory['kind']!r}")
    if not 0 <= memory["successes"] <= memory["uses"] < 2**63:
        raise ValueError(f"{memory['successes']} successes of {memory['uses']} uses")
    versions = memory["versions"]
    # Added once, updated any number of times, deleted at the end or not at all.
    first, *middle = [version["operation"] for version in versions] or [""]
    last_one = middle.pop() if middle else UPDATE
    if first != ADD or set(middle) - {UPDATE} or last_one not in (UPDATE, DELETE):
        raise ValueError("its versions are no history")
    for version in versions:
        _check_version(version, header["dimensions"] or 0)
    times = [version["happened"] for version in versions]
    if times != sorted(times):
        raise ValueError("a version happened before the one it replaced")
    return memory


def _check_version(version: _Version, width: int) -> None:
    for field in ("happened", "written"):
        if utc(time := version[field], field) != time:
            raise ValueError(f"{field} is {time!r}, not in the form {utc(time)!r}")
    if version["operation"] == DELETE:
        if version["vector"] is not None or version["text"] or "pictures" in version:
            raise ValueError("a deletion with a text, a vector or pictures")
    elif not version["text"] or len(_vector(version)) != 2 * width:
        raise ValueError(f"a version without a text, or without {width} numbers as vector")


def _vector(version: _Version) -> bytes:
    return base64.b64decode(version["vector"] or "", validate=True)


def _insert(database: sqlite3.Connection, memory: _Memory) -> None:
    id, owner, speaker = memory["id"], memory["owner"], memory["speaker"]
    kind, key = memory["kind"], memory["key"]
    values = (id, owner, speaker, kind, key, memory["uses"], memory["successes"])
    database.execute(
        "INSERT INTO memories VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, checksum(values))
    )
    ends = [version["happened"] for version in memory["versions"][1:]]
    for number, version in enumerate(memory["versions"], 1):
        until = ends[number - 1] if number <= len(ends) else None
        live = until is None and version["operation"] != DELETE
        held: dict[str, Any] = {
            **version,
            "memory": id,
            "number": number,
            "evidence": json.dumps(version["evidence"], ensure_ascii=False),
            "pictures": json.dumps(version.get("pictures", []), ensure_ascii=False),
            "until": until,
            "live": int(live),
        }
        pictures = [Shared(**shared) for shared in version.get("pictures", [])]
        same = identity(version["text"], speaker, owner, kind, key, pictures)
        row = insert_version(database, [held[name] for name in CONTENT], same, 1)
        if version["operation"] != DELETE:
            found_by = matched(version["text"], speaker, key)
            index_version(database, row, found_by, version["context"], _vector(version))
