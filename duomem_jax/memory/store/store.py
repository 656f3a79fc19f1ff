"""A store of memories: the door of this room."""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Self

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import check_fields
from duomem_jax.base.picture import read_picture
from duomem_jax.base.ranges import Count, Limit, checked
from duomem_jax.base.times import now, utc
from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.operations.records import Operation
from duomem_jax.memory.retrieve import Ranking, Retriever, Vectors, usual_retriever
from duomem_jax.memory.retrieve.terms import terms
from duomem_jax.memory.store import erase, transfer
from duomem_jax.memory.store.apply import apply, credit
from duomem_jax.memory.store.change import Step, clean
from duomem_jax.memory.store.database import Database
from duomem_jax.memory.store.entry import (
    REJECTED,
    Applied,
    Entry,
    Found,
    Origin,
    Version,
)
from duomem_jax.memory.store.keeper import Answer, Keeper, Plan, Query, Verbatim
from duomem_jax.memory.store.lexical import Frequencies, search, terms_name
from duomem_jax.memory.store.reindex import replace_terms, replace_vectors
from duomem_jax.memory.store.rows import entries, entries_by_id, shared_pictures, versions
from duomem_jax.memory.store.space import Space, default_name
from duomem_jax.memory.store.taken import NOTHING_TAKEN, Taken, take
from duomem_jax.memory.store.upgrade import upgrade
from duomem_jax.memory.store.vectors import VectorCache
from duomem_jax.memory.store.where import where
from duomem_jax.records.dialogues import Turn

logger = logging.getLogger(__name__)

_NO_PICTURES: Mapping[str, str | os.PathLike] = MappingProxyType({})
RECALLED = 10  # memories that `recall` gives where it is not told how many


class Store:
    """Memories in one SQLite file, shared by threads and processes; a context manager.

    Their pictures lie in a folder beside it, `<file>.pictures`.

    Each change is one transaction of text, vector, full-text index, history and provenance. A
    process that is killed loses at most the operation in flight.

    Attributes:
        path: the file.
        keeper: what decides what is remembered.
        retriever: what ranks memories.
        pictures: the files of what memories have (`Entry.pictures`).
    """

    def __init__(
        self,
        database: Database,
        space: Space,
        keeper: Keeper,
        retriever: Retriever,
        clock: Callable[[], datetime],
    ) -> None:
        self.path, self.pictures = database.path, database.pictures
        self.keeper, self.retriever = keeper, retriever
        self._database, self._space, self._clock = database, space, clock
        self._frequencies, self._cache = Frequencies(), VectorCache(database.path)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike,
        *,
        make: bool = True,
        embedder: Embedder | None = None,
        keeper: Keeper | None = None,
        retriever: Retriever | None = None,
        clock: Callable[[], datetime] = now,
    ) -> Self:
        """Open a store, or make one.

        Args:
            path: the file; its folder is made.
            make: a store that is missing is made; False: it is refused.
            embedder: what makes vectors of texts. None: the one that hashes words, for a new store
                or one that has it; a store that has another one can be read, but not added to.
            keeper: what decides what is remembered and answers; None: every turn is kept as it was
                said.
            retriever: what ranks memories; None: what suits the embedder.
            clock: gives the time, with its zone.

        Raises:
            UserError: it is another file, damaged, of a later version, cannot be opened, or has
                vectors of another embedder.
        """
        split = terms_name()
        database = Database(path, embedder.name if embedder else default_name(), split, make)
        try:
            upgrade(database)
            held, splitter = _names(database, embedder)
            space = Space(database.path, held, embedder)
            if splitter != split:
                replace_terms(database, split)
            erase.complete(database)
        except BaseException:
            database.close()
            raise
        retriever = retriever or usual_retriever(space.embedder)
        return cls(database, space, keeper or Verbatim(), retriever, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self._database.close()

    def __len__(self) -> int:
        """Number of memories that are in use."""
        with self._database.reading() as database:
            return database.execute("SELECT count(*) FROM versions WHERE live").fetchone()[0]

    def __bool__(self) -> bool:
        """True, also for an empty one."""
        return True

    @property
    def embedder(self) -> Embedder | None:
        """What makes its vectors; None where it was not given."""
        return self._space.embedder

    def now(self) -> str:
        """The time of its clock, in UTC."""
        return utc(self._clock(), "clock")

    # What is written.

    def plan(
        self,
        turns: Sequence[Turn],
        *,
        at: datetime | str | None = None,
        who: str = "",
        pictures: Mapping[str, str | os.PathLike] = _NO_PICTURES,
    ) -> Plan:
        """What `remember` would do; nothing is done.

        Args:
            turns: what is said, in order.
            at: when, with a time zone; None: now.
            who: whose memories these are.
            pictures: files, by the ids of the turns that share them.

        Raises:
            UserError: `at` is no time, or has no zone; a file is no picture.
        """
        taken = take(turns, pictures)
        return self.keeper.plan(self, taken.turns, self.moment(at), who)

    def remember(
        self,
        turns: Sequence[Turn],
        *,
        at: datetime | str | None = None,
        who: str = "",
        session: str = "",
        note: str = "",
        pictures: Mapping[str, str | os.PathLike] = _NO_PICTURES,
    ) -> list[Applied]:
        """Let the keeper decide what is to be kept of some turns, and keep it.

        Args:
            turns: what is said, in order.
            at: when, with a time zone; None: now. This is the event time of what is kept.
            who: whose memories these are.
            session: what this is a part of; the default is `at`.
            note: what is to be kept with them.
            pictures: files, by the ids of the turns that share them. Those of what is remembered
                are copied into the store's folder. Of a picture whose file is not given, only what
                is said with it is remembered.

        Returns:
            What became of each operation, and of what could not be read as one.

        Raises:
            UserError: `at` is no time, or has no zone; a file is no picture; the embedder or the
                keeper's model fails.
        """
        started, happened, taken = time.perf_counter(), self.moment(at), take(turns, pictures)
        plan = self.keeper.plan(self, taken.turns, happened, who)
        origin = Origin(self.keeper.name, who, session or happened, happened, note)
        applied = self.apply(plan.operations, origin, taken)
        for rejected in plan.rejected:
            logger.info("%s: rejected %.80r: %s", self.path, rejected.text, rejected.why)
        applied += [Applied(None, None, REJECTED, rejected.why) for rejected in plan.rejected]
        seconds = time.perf_counter() - started
        logger.debug("%s: %d turns in %.3f s", self.path, len(turns), seconds)
        return applied

    def apply(
        self, operations: Iterable[Operation], origin: Origin, taken: Taken = NOTHING_TAKEN
    ) -> list[Applied]:
        """Carry out operations in order, all in one transaction.

        An operation on a memory that is not there, belongs to another owner or tells of a later
        time is rejected. What is known already is kept as it is.

        Args:
            operations: what to do.
            origin: where they come from.
            taken: the turns that they come from, with their pictures.

        Returns:
            What became of each.

        Raises:
            UserError: the embedder fails, the origin's time has no zone, the disk is full.
        """
        try:
            check_fields(origin)
        except TypeError as e:
            raise UserError(f"{self.path}: of the origin, {e}") from None
        origin = replace(origin, happened=self.moment(origin.happened or None))
        steps = [Step(clean(o), origin, pictures=taken.shared) for o in operations]
        return self.apply_steps(steps, taken.files)

    def apply_steps(
        self, steps: Sequence[Step], files: Mapping[str, bytes] = MappingProxyType({})
    ) -> list[Applied]:
        """`apply` for operations of different origins; each is cleaned, its time is in UTC.

        Args:
            steps: what to do.
            files: of new pictures, by their names.
        """
        return apply(self._database, self._space, steps, self.now(), files)

    def credit(self, ids: Iterable[int], success: bool) -> None:
        """Count that memories were shown, and whether that ended well.

        Args:
            ids: of the memories, deleted ones too; those that are forgotten count no more.
            success: whether it did.
        """
        credit(self._database, ids, success)

    # What is read.

    @checked
    def recall(
        self,
        query: str,
        *,
        k: Count | None = None,
        tokens: Limit | None = None,
        count: Callable[[str], int] | None = None,
        at: datetime | str | None = None,
        who: str | Sequence[str] | None = None,
        speaker: str | None = None,
    ) -> list[Found]:
        """The memories that fit a question, best first.

        Args:
            query: any text.
            k: how many at most; with neither `k` nor `tokens` it is `RECALLED`.
            tokens: how long they may be together. The best come first; one that no longer fits is
                passed over.
            count: length of a text; by default its words.
            at: only what had been said by then, as it was known then; with a time zone.
            who: whose memories; None: all.
            speaker: whom they are about; None: all.

        Raises:
            UserError: `at` is no time or has no zone, a number is out of range, the store is
                damaged.
        """
        part = where(at, who, speaker)
        limit = k or (RECALLED if tokens is None else tokens)
        if not limit:
            return []
        ranking = self.retriever.rank(self, query, limit, part)
        with self._database.snapshot() as database:
            held = entries_by_id(database, self.path, ranking.ids_M, part)
        # One may have been forgotten since it was ranked.
        found = [
            Found(held[id], float(score))
            for id, score in zip(ranking.ids_M.tolist(), ranking.scores_M, strict=True)
            if id in held
        ][:limit]
        return found if tokens is None else _fitting(found, tokens, count or _words)

    def answer(
        self,
        query: str,
        *,
        at: datetime | str | None = None,
        who: str | None = None,
        image: str | os.PathLike | None = None,
    ) -> Answer:
        """Let the keeper answer a question.

        Args:
            query: the question.
            at, who: as in `recall`.
            image: file of a picture that the question is about; None: there is none.

        Raises:
            UserError: it has no model that could; `image` is no picture, or the file of a memory's
                picture is missing.
        """
        if image is not None:
            read_picture(image)
        return self.keeper.answer(self, Query(query, None if at is None else utc(at), who, image))

    def get(self, id: int, *, at: datetime | str | None = None) -> Entry | None:
        """One memory, as it is or was; None where there is none of this id."""
        part = where(at, None, None)
        with self._database.snapshot() as database:
            return entries_by_id(database, self.path, [id], part).get(id)

    def entries(
        self,
        *,
        at: datetime | str | None = None,
        who: str | Sequence[str] | None = None,
        speaker: str | None = None,
    ) -> list[Entry]:
        """All memories, or some, in the order of their ids."""
        with self._database.snapshot() as database:
            return entries(database, self.path, where(at, who, speaker))

    def owners(self) -> list[str]:
        """Whose memories it holds, in order."""
        with self._database.reading() as database:
            query = "SELECT DISTINCT owner FROM memories ORDER BY owner"
            return [owner for (owner,) in database.execute(query)]

    def speakers(self, ids_M: np.ndarray) -> list[str]:
        """Whom each of these memories is about; "" where that is not known."""
        query = "SELECT id, speaker FROM memories WHERE id IN (SELECT value FROM json_each(?))"
        with self._database.reading() as database:
            held = dict(database.execute(query, (json.dumps(ids_M.tolist()),)))
        return [held.get(id, "") for id in ids_M.tolist()]

    def history(self, id: int) -> list[Version]:
        """All versions of a memory, also of one that is deleted; none of one that is forgotten."""
        with self._database.snapshot() as database:
            return versions(database, self.path, id)

    def lexical(
        self,
        query: str,
        *,
        limit: int | None = None,
        at: datetime | str | None = None,
        who: str | Sequence[str] | None = None,
        speaker: str | None = None,
    ) -> Ranking:
        """Memories that have a term of the query, by BM25 (k1 1.2, b 0.75) of the full-text index.

        A document of the index is the text with its speaker's name, or the key, and the context.
        Exact as long as the query's terms are in few memories (`lexical.TOUCHED`); beyond, its
        most common terms only order what the others find.

        Args:
            query: any text; one without terms finds nothing.
            limit: how many at most; None: all that have a term.
            at, who, speaker: as in `recall`.
        """
        part = where(at, who, speaker)
        with self._database.snapshot() as database:
            return search(database, self._frequencies, query, part, limit)

    def vectors(
        self,
        *,
        at: datetime | str | None = None,
        who: str | Sequence[str] | None = None,
        speaker: str | None = None,
    ) -> Vectors:
        """Vectors of all memories, or of some; kept in this process and brought up to date.

        Args:
            at, who, speaker: as in `recall`.

        Raises:
            UserError: the store was embedded again since it was opened, or is damaged.
        """
        part = where(at, who, speaker)
        with self._database.snapshot() as database:
            self._space.check(database)
            return self._cache.get(database, part)

    # What concerns the file.

    def forget(
        self,
        *,
        ids: Iterable[int] | None = None,
        who: str | Sequence[str] | None = None,
        before: datetime | str | None = None,
    ) -> list[int]:
        """Erase memories with their histories: nothing of them is left in the file.

        A picture is removed with the last memory that has it.

        Exports and copies of the file are not reached, nor are other memories that say the same.

        Args:
            ids: of memories, deleted ones too.
            who: owners.
            before: what last happened before this time. Several conditions narrow the choice.

        Returns:
            The ids of those that were erased.

        Raises:
            UserError: no condition is given; or another process reads for so long that traces are
                left, which is completed by whoever opens the store next.
        """
        if ids is None and who is None and before is None:
            raise UserError("forget: say what, by ids, who or before")
        owners = where(None, who, None).who
        time = None if before is None else utc(before, "before")
        return erase.forget(
            self._database, None if ids is None else [int(i) for i in ids], owners, time
        )

    def export(self, path: str | os.PathLike) -> int:
        """Write everything to a new file of JSON Lines; see `transfer`.

        Pictures go to a folder beside it, `<file>.pictures`.

        Returns:
            The number of memories, with those that are deleted but not forgotten.

        Raises:
            UserError: the file or the folder is there already or cannot be written, or a picture is
                missing.
        """
        return transfer.export(self._database, Path(path))

    def import_(self, path: str | os.PathLike) -> int:
        """Fill this store, which is empty, from an exported file: all of it, or nothing.

        Returns:
            The number of memories.

        Raises:
            UserError: it is not empty, a line is damaged, a picture is missing, or the vectors are
                of another embedder.
        """
        embedder = self._space.embedder if self._space.given else None
        count, held = transfer.import_(
            self._database, Path(path), embedder.name if embedder else None
        )
        self._space = Space(self.path, held, embedder)
        return count

    def reindex(self, embedder: Embedder) -> None:
        """Embed everything by another embedder, which is the store's from then on.

        Others who have it open with the one before are told to open it again.

        Raises:
            UserError: the embedder fails.
        """
        replace_vectors(self._database, embedder)
        self._space = Space(self.path, embedder.name, embedder)

    def check(self) -> None:
        """Read the whole file and all pictures, and compare everything with its checksum.

        Raises:
            UserError: something is damaged, or a picture is missing.
        """
        self._database.check()
        with self._database.snapshot() as database:
            for _ in transfer.memories(database, self.path):
                pass
            for name in sorted(shared_pictures(database)):
                self.pictures.path(name)

    def moment(self, at: datetime | str | None) -> str:
        """A time in UTC as the store holds it; None: now, by the store's clock."""
        return self.now() if at is None else utc(at)


def _names(database: Database, embedder: Embedder | None) -> tuple[str, str]:
    """The names of what made the vectors and the terms; a store without vectors takes ours."""
    with database.reading() as connection:
        held = _held(connection)
    if embedder is None or embedder.name == held[0]:
        return held
    with database.writing() as connection:
        connection.execute(
            "UPDATE state SET embedder = ? WHERE dimensions IS NULL", (embedder.name,)
        )
        return _held(connection)


def _held(connection: sqlite3.Connection) -> tuple[str, str]:
    (names,) = connection.execute("SELECT embedder, terms FROM state").fetchall()[:1] or [()]
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise sqlite3.DatabaseError("its state is lost")  # explained as damage
    return names


def _words(text: str) -> int:
    # By their terms: not all languages part their words by spaces.
    return len(terms(text)) or 1


def _fitting(found: list[Found], tokens: int, count: Callable[[str], int]) -> list[Found]:
    left, chosen = tokens, []
    for item in found:
        if (length := count(item.entry.text)) <= left:
            left -= length
            chosen.append(item)
    return chosen
