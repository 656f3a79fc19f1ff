"""Operations, carried out inside one transaction."""

import hashlib
import json
import logging
import sqlite3
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duomem_jax.base.fields import check_fields
from duomem_jax.base.io import readable
from duomem_jax.memory.operations.records import KINDS, Add, Delete, Keep, Operation, Update
from duomem_jax.memory.store.entry import (
    ADD,
    ADDED,
    DELETE,
    DELETED,
    KEPT,
    REJECTED,
    UPDATE,
    UPDATED,
    Applied,
    Entry,
    Origin,
    Shared,
)
from duomem_jax.memory.store.lexical import document
from duomem_jax.memory.store.rows import CONTENT, MEMORY, checksum, entries_by_id
from duomem_jax.memory.store.where import Where

logger = logging.getLogger(__name__)

_FIELDS = (*CONTENT, "identity", "change", "crc32")
_INSERT = f"INSERT INTO versions ({', '.join(_FIELDS)}) VALUES ({', '.join('?' * len(_FIELDS))})"


class NotEmbeddedError(Exception):
    """A vector is missing: what made it needless has been changed meanwhile.

    Attributes:
        text: what is to be embedded.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def matched(text: str, speaker: str, key: str) -> str:
    """What a memory is embedded and found by: its key, or its text with the speaker's name.

    A turn that does not say who speaks is hardly found by a question about its speaker: on two of
    LoCoMo's conversations MiniLM's recall of evidence at 10 is 0.47 with the name, 0.24 without.
    """
    if key or not speaker or speaker.casefold() in text.casefold():
        return key or text
    return f"{speaker}: {text}"


def identity(
    text: str, speaker: str, owner: str, kind: str, key: str, pictures: Iterable[Shared] = ()
) -> bytes:
    """A hash of what makes two memories the same, whatever their case and spaces.

    The speaker counts where the text does not name him: two people may say "I love dogs". So do
    pictures: "Look at this!" says nothing without its own.
    """
    parts = [owner, kind, plain(key), plain(matched(text, speaker, ""))]
    parts += sorted({shared.sha256 for shared in pictures})
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).digest()


def plain(text: str) -> str:
    """A text without what makes no difference to what it says: case and spaces."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def changes(update: Update, current: Entry) -> bool:
    """Whether an update is a version of its own: it says something else, or rests on more turns."""
    return update.text != current.text or set(update.evidence) > set(current.evidence)


def clean(operation: Operation) -> Operation:
    """An operation whose texts a file can hold, without space around them.

    What is of a wrong type stays as it is, and is rejected later.
    """

    def of(text: str) -> str:
        return readable(text).strip() if isinstance(text, str) else text

    evidence = getattr(operation, "evidence", ())
    if isinstance(evidence, list | tuple):
        evidence = tuple(of(turn) for turn in evidence)
    match operation:
        case Add(text, speaker, _, context, kind, key):
            return Add(of(text), of(speaker), evidence, of(context), kind, of(key))
        case Update(id, text, _, context):
            return Update(id, of(text), evidence, of(context))
        case Delete(id, _):
            return Delete(id, evidence)
    return operation


@dataclass(frozen=True)
class Step:
    """One operation on its way into a store.

    Attributes:
        operation: cleaned.
        origin: with its time in UTC.
        uses: of a memory that was used elsewhere before.
        successes: how many of those ended well.
        pictures: what was shared where the operation comes from; a memory has those of the turns
            that it rests on.
    """

    operation: Operation
    origin: Origin
    uses: int = 0
    successes: int = 0
    pictures: tuple[Shared, ...] = ()

    def added(self, add: Add) -> tuple[Shared, ...]:
        """The pictures of a memory that is added."""
        return tuple(shared for shared in self.pictures if shared.turn in add.evidence)

    def updated(self, update: Update, current: Entry) -> tuple[Shared, ...]:
        """The pictures of a memory that is updated."""
        new = [shared for shared in self.pictures if shared.turn in update.evidence]
        # What says something else, by other turns, has their pictures alone.
        stays = update.text == current.text or not update.evidence
        return tuple(dict.fromkeys([*(current.pictures if stays else ()), *new]))


class Change:
    """A transaction that changes memories.

    Args:
        database: inside a transaction.
        path: of the store, for errors.
        written: the write time.
        vectors: float16 bytes by what was embedded (`matched`).

    Attributes:
        shown: names of the pictures of all that was added and updated.
    """

    def __init__(
        self, database: sqlite3.Connection, path: Path, written: str, vectors: dict[str, bytes]
    ) -> None:
        self._database, self._path = database, path
        self._written, self._vectors = written, vectors
        ((self._number,),) = database.execute("SELECT change + 1 FROM state")
        self._touched, self._texts, self._length = False, 0, 0
        self.shown: set[str] = set()

    def apply(self, step: Step) -> Applied:
        """Carry out one operation, or say why not.

        Raises:
            NotEmbeddedError: its text has no vector.
        """
        applied = self._applied(step)
        if applied.status == REJECTED:
            logger.warning("%s: rejected %s: %s", self._path, step.operation, applied.why)
        return applied

    def _applied(self, step: Step) -> Applied:
        try:
            check_fields(step.operation)
        except TypeError as e:
            return Applied(step.operation, None, REJECTED, str(e))
        match step.operation:
            case Add():
                return self._add(step.operation, step)
            case Update():
                return self._update(step.operation, step)
            case Delete():
                return self._delete(step.operation, step.origin)
            case Keep(id):
                if self._live(id, step.origin) is not None:
                    return Applied(step.operation, id, KEPT)
                return Applied(step.operation, None, REJECTED, _unknown(id, step.origin))
        raise TypeError(f"{step.operation!r} is no operation on memories")

    def finish(self) -> None:
        """Note what others' caches and BM25 go by; once, at the end."""
        if self._touched:
            self._database.execute(
                "UPDATE state SET change = ?, texts = texts + ?, length = length + ?",
                (self._number, self._texts, self._length),
            )

    def _add(self, add: Add, step: Step) -> Applied:
        origin = step.origin
        if why := _bad(add):
            return Applied(add, None, REJECTED, why)
        pictures = step.added(add)
        same = identity(add.text, add.speaker, origin.owner, add.kind, add.key, pictures)
        if (known := self._known(same)) is not None:
            return Applied(add, known, KEPT, f"memory {known} says so already")
        values = (origin.owner, add.speaker, add.kind, add.key, step.uses, step.successes)
        cursor = self._database.execute(
            f"INSERT INTO memories ({', '.join(MEMORY[1:])}, crc32) VALUES (?, ?, ?, ?, ?, ?, 0)",
            values,
        )
        id = cursor.lastrowid or 0
        self._database.execute(
            "UPDATE memories SET crc32 = ? WHERE id = ?", (checksum((id, *values)), id)
        )
        made = _made(add, pictures)
        self._insert(id, 1, ADD, origin, made, same)
        self._index(matched(add.text, add.speaker, add.key), add.context)
        return Applied(add, id, ADDED)

    def _update(self, update: Update, step: Step) -> Applied:
        origin = step.origin
        current = self._live(update.id, origin)
        if current is None:
            return Applied(update, None, REJECTED, _unknown(update.id, origin))
        if not update.text:
            return Applied(update, current.id, REJECTED, "the text is empty")
        if not changes(update, current):
            return Applied(update, current.id, KEPT, f"memory {current.id} says so already")
        if why := _late(current, origin):
            return Applied(update, current.id, REJECTED, why)
        pictures, key = step.updated(update, current), current.key
        same = identity(update.text, current.speaker, current.owner, current.kind, key, pictures)
        self._end(current, origin)
        if (known := self._known(same)) is not None:
            # Two that say the same would be shown side by side.
            self._insert(current.id, current.version + 1, DELETE, origin, {}, same)
            return Applied(update, current.id, DELETED, f"memory {known} says so already")
        made = _made(update, pictures)
        self._insert(current.id, current.version + 1, UPDATE, origin, made, same)
        self._index(matched(update.text, current.speaker, current.key), update.context)
        return Applied(update, current.id, UPDATED)

    def _delete(self, delete: Delete, origin: Origin) -> Applied:
        current = self._live(delete.id, origin)
        if current is None:
            return Applied(delete, None, REJECTED, _unknown(delete.id, origin))
        if why := _late(current, origin):
            return Applied(delete, current.id, REJECTED, why)
        self._end(current, origin)
        same = identity("", current.speaker, current.owner, current.kind, current.key)
        made = {"evidence": delete.evidence}
        self._insert(current.id, current.version + 1, DELETE, origin, made, same)
        return Applied(delete, current.id, DELETED)

    def _live(self, id: int, origin: Origin) -> Entry | None:
        # A model's number may have any length; SQLite's have 64 bits.
        if abs(id) >= 2**63:
            return None
        part = Where(who=(origin.owner,))
        return entries_by_id(self._database, self._path, [id], part).get(id)

    def _known(self, same: bytes) -> int | None:
        query = "SELECT memory FROM versions WHERE identity = ? AND live"
        return next((memory for (memory,) in self._database.execute(query, (same,))), None)

    def _insert(
        self,
        memory: int,
        number: int,
        operation: str,
        origin: Origin,
        made: dict[str, Any],
        same: bytes,
    ) -> None:
        content = (
            memory,
            number,
            operation,
            made.get("text", ""),
            made.get("context", ""),
            json.dumps(made.get("evidence", ()), ensure_ascii=False),
            json.dumps(made.get("pictures", ()), ensure_ascii=False),
            origin.session,
            origin.writer,
            origin.note,
            origin.happened,
            self._written,
            None,
            int(operation != DELETE),
        )
        self._row = insert_version(self._database, content, same, self._number)
        self.shown.update(shared["sha256"] for shared in made.get("pictures", ()))
        self._touched = True

    def _index(self, found_by: str, context: str) -> None:
        """Make the version that was just inserted findable."""
        vector = self._vectors.get(found_by)
        if vector is None:
            raise NotEmbeddedError(found_by)
        self._texts += 1
        self._length += index_version(self._database, self._row, found_by, context, vector)

    def _end(self, current: Entry, origin: Origin) -> None:
        """Take the current version out of use; it stays in the history."""
        end_version(self._database, current.id, current.version, origin.happened, self._number)
        self._touched = True


def insert_version(
    database: sqlite3.Connection, content: Sequence[Any], same: bytes, change: int
) -> int:
    """Append to a memory's history.

    Args:
        database: inside a transaction.
        content: values of the columns `CONTENT`.
        same: the `identity` of what it says.
        change: the transaction's number.

    Returns:
        The row of the version.
    """
    values = (*content, same, change, checksum(content))
    return database.execute(_INSERT, values).lastrowid or 0


def index_version(
    database: sqlite3.Connection, row: int, found_by: str, context: str, vector: bytes
) -> int:
    """Make a version findable.

    Returns:
        The number of its terms.
    """
    database.execute("INSERT INTO vectors VALUES (?, ?, ?)", (row, vector, zlib.crc32(vector)))
    words = document(found_by, context)
    database.execute("INSERT INTO terms (rowid, words) VALUES (?, ?)", (row, " ".join(words)))
    return len(words)


def end_version(
    database: sqlite3.Connection, memory: int, number: int, until: str, change: int
) -> None:
    """Mark a version as no longer live, since something later happened."""
    columns = ", ".join(CONTENT)
    at = "WHERE memory = ? AND number = ?"
    row = database.execute(f"SELECT {columns} FROM versions {at}", (memory, number)).fetchone()
    content = (*row[:-2], until, 0)
    database.execute(
        f"UPDATE versions SET until = ?, live = 0, change = ?, crc32 = ? {at}",
        (until, change, checksum(content), memory, number),
    )


def stored(vectors_ME: np.ndarray) -> list[bytes]:
    """Rows as they are kept: float16, little-endian."""
    return [row.tobytes() for row in np.asarray(vectors_ME).astype("<f2")]


def _made(operation: Add | Update, pictures: Iterable[Shared]) -> dict[str, Any]:
    """What a version says, as its row holds it."""
    return {
        "text": operation.text,
        "context": operation.context,
        "evidence": operation.evidence,
        "pictures": [asdict(shared) for shared in pictures],
    }


def _bad(add: Add) -> str:
    if not add.text:
        return "the text is empty"
    return "" if add.kind in KINDS else f"its kind is {add.kind!r}, not one of {', '.join(KINDS)}"


def _late(current: Entry, origin: Origin) -> str:
    if origin.happened >= current.happened:
        return ""
    return f"memory {current.id} is of {current.happened}, later than {origin.happened}"


def _unknown(id: int, origin: Origin) -> str:
    return f"no memory {id!r}" + (f" of {origin.owner!r}" if origin.owner else "")
