"""What decides what is remembered of a conversation, and what answers from it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from duomem_jax.base.errors import UserError
from duomem_jax.memory.operations.records import Add, Operation
from duomem_jax.memory.retrieve.turns import context
from duomem_jax.memory.store.entry import Entry
from duomem_jax.records.dialogues import Session, Turn

if TYPE_CHECKING:
    from duomem_jax.memory.store.store import Store


@dataclass(frozen=True)
class Rejected:
    """Something that a keeper's model said and that is no operation.

    Attributes:
        text: what it said.
        why: what is wrong with it.
    """

    text: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What a keeper wants to be done to a store.

    Attributes:
        operations: in order, each with the turns that it comes from (`evidence`).
        rejected: what could not be read as operations.
    """

    operations: tuple[Operation, ...] = ()
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True)
class Query:
    """A question, and what it may be answered from.

    Attributes:
        text: the question.
        at: answer as at that time, ISO 8601 in UTC; None: from all that is known.
        who: whose memories may be used; None: all.
        image: file of a picture that the question is about; None: there is none.
    """

    text: str
    at: str | None = None
    who: str | None = None
    image: str | os.PathLike | None = None


@dataclass(frozen=True)
class Answer:
    """An answer from a store.

    Attributes:
        text: the answer.
        shown: the memories that it was given from, best first.
    """

    text: str
    shown: tuple[Entry, ...] = ()


class Keeper(Protocol):
    """Proposes operations from turns and answers questions.

    Attributes:
        name: what the history calls it (`Entry.writer`).
    """

    name: str

    def expect(self, sessions: Sequence[Session]) -> None:
        """Be told what will be told next, session by session: some of it may be done at once.

        It changes no plan, and nothing need be done.

        Args:
            sessions: each will be `plan`ned, in order, with the same turns and time.
        """

    def plan(self, store: "Store", turns: Sequence[Turn], at: str, who: str) -> Plan:
        """What is to be done once `turns` have been said; the store is only read.

        Args:
            store: what is known so far.
            turns: in order.
            at: when they were said, ISO 8601 in UTC.
            who: whose memories these are.
        """

    def answer(self, store: "Store", query: Query) -> Answer:
        """Answer a question from what the store holds.

        Args:
            store: what is known.
            query: the question, and what it may be answered from.
        """


class Verbatim:
    """Keeps every turn as it was said, found by the turns around it, too; needs no model."""

    name = "verbatim"

    def expect(self, sessions: Sequence[Session]) -> None:
        """Do nothing: there is no model that could be asked in advance."""

    def plan(self, store: "Store", turns: Sequence[Turn], at: str, who: str) -> Plan:
        """One `Add` a turn; turns without any text are left out."""
        session = Session(at, tuple(turns))
        return Plan(
            tuple(
                Add(turn.said, turn.speaker, (turn.id,), context=context(session, i))
                for i, turn in enumerate(turns)
                if turn.said.strip()
            )
        )

    def answer(self, store: "Store", query: Query) -> Answer:
        """Refused: there is no model.

        Raises:
            UserError: always.
        """
        raise UserError(
            f"{store.path}: opened without a model that could answer; open it with "
            "Store.open(path, keeper=...) and a keeper that has one, or use recall()"
        )
