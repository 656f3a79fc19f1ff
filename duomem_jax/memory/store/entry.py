"""What a store gives: memories, their history, and what became of operations."""

from dataclasses import dataclass
from typing import NamedTuple

from duomem_jax.memory.operations.records import Operation

ADDED, UPDATED, DELETED, KEPT, REJECTED = "added", "updated", "deleted", "kept", "rejected"
ADD, UPDATE, DELETE = "add", "update", "delete"


@dataclass(frozen=True)
class Shared:
    """A picture that somebody has shared.

    Attributes:
        turn: id of the turn that it was shared in.
        speaker: who shared it.
        sha256: of its file, which has this name in the store's folder of pictures.
    """

    turn: str
    speaker: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """One memory, as it is or as it was at a time.

    Attributes:
        id: number in its store; never given again, not even when the memory is forgotten.
        text: what it says.
        speaker: whom it is about, or who said it; "" where that is not known.
        owner: whose memory it is; nobody else's `recall(who=)` finds it.
        session: what it was said in; "" where that is not known.
        evidence: ids of the turns that say so.
        writer: who wrote it, such as the name of a keeper.
        happened: event time, when it was said: ISO 8601 in UTC, to the second.
        written: write time, in the same form.
        version: 1 for what was added, one more for each update.
        context: further text that it is found by, such as the turn before; never shown.
        kind: `FACT` or `PROCEDURE` of `memory.operations.records`.
        key: what it is matched by; "" for its text.
        note: what the caller wants to be kept with it; never searched, never shown.
        uses: how often it was shown, as far as `Store.credit` was told.
        successes: how many of those ended well.
        pictures: what was shared in the turns that say so, at the time `happened`.
    """

    id: int
    text: str
    speaker: str
    owner: str
    session: str
    evidence: tuple[str, ...]
    writer: str
    happened: str
    written: str
    version: int
    context: str
    kind: str
    key: str
    note: str
    uses: int
    successes: int
    pictures: tuple[Shared, ...] = ()


@dataclass(frozen=True)
class Version:
    """One row of a memory's history.

    Attributes:
        id: of the memory.
        version: 1, 2, ... in the order of writing.
        operation: `ADD`, `UPDATE` or `DELETE`.
        text: what the memory says from then on; "" once it is deleted.
        evidence: ids of the turns that say so.
        session: what that was said in.
        writer: who wrote it.
        happened: event time.
        written: write time.
        note: what the caller wanted to be kept with it.
        pictures: what was shared in those turns.
    """

    id: int
    version: int
    operation: str
    text: str
    evidence: tuple[str, ...]
    session: str
    writer: str
    happened: str
    written: str
    note: str
    pictures: tuple[Shared, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Where operations come from.

    Attributes:
        writer: who proposes them.
        owner: whose memories they concern; those of others are out of reach.
        session: what they were said in.
        happened: when they were said, with a time zone; "" for now.
        note: what is to be kept with them.
    """

    writer: str = ""
    owner: str = ""
    session: str = ""
    happened: str = ""
    note: str = ""


@dataclass(frozen=True)
class Applied:
    """What became of one operation.

    Attributes:
        operation: what was asked for; None where a keeper's model gave none that could be read.
        id: of the memory that it concerns; None where there is none.
        status: `ADDED`, `UPDATED`, `DELETED`, `KEPT` or `REJECTED`.
        why: what was wrong or known already; "" where what was asked for was done.
    """

    operation: Operation | None
    id: int | None
    status: str
    why: str = ""


class Found(NamedTuple):
    """A memory that was recalled.

    Attributes:
        entry: the memory.
        score: how well it fits; higher is better, and the scale is the retriever's.
    """

    entry: Entry
    score: float
