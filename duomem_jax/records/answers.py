"""What an assistant answered, before anybody scores it."""

import os
from dataclasses import dataclass
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.records.dialogues import Question
from duomem_jax.records.results import Usage, collect_rows
from duomem_jax.records.there import instead


@dataclass(frozen=True)
class Answered:
    """One answer, with all that scoring it needs.

    Attributes:
        subject: who answered, as named in the report.
        dialogue: what was asked about.
        question: what was asked, with its key.
        seed: of the assistant's training or sampling.
        answer: what was said; "" where the chat did not fit.
        shown: what stood before the question, in the order of the page.
        found: share of the evidence turns that were shown or that a shown memory rests on; -1
            where the question has no evidence.
        share: of the words of the conversation, those that were shown.
        cost: tokens and time.
        ended: "end", "cut" or "context" (the chat did not fit).
    """

    subject: str
    dialogue: str
    question: Question
    seed: int
    answer: str
    shown: tuple[str, ...]
    found: float
    share: float
    cost: Usage
    ended: str

    @property
    def item(self) -> str:
        """The question, unique over all dialogues."""
        return f"{self.dialogue}/{self.question.id}"

    @property
    def key(self) -> tuple[str, str, int]:
        """(subject, item, seed): there is one answer of it."""
        return self.subject, self.item, self.seed


@dataclass(frozen=True)
class Worked:
    """What keeping the memories of one dialogue took, for one operation.

    Attributes:
        subject: whose memories.
        dialogue: what was remembered.
        operation: "extract" or "update".
        seed: of the assistant's training or sampling.
        calls: of a model.
        repaired: replies whose JSON was repaired.
        rejected: replies, and operations in them, that were not done.
        cost: tokens and time.
    """

    subject: str
    dialogue: str
    operation: str
    seed: int
    calls: int
    repaired: int
    rejected: int
    cost: Usage


def collect_answers(folder: str | os.PathLike) -> list[Answered]:
    """All answers in a folder, each (assistant, question, seed) once.

    Raises:
        UserError: there are none; or as `collect_rows`.
    """
    if rows := collect_rows(sorted(Path(folder).glob("*.sqlite")), Answered):
        return rows
    wanted = "a folder that `duomem locomo run` wrote"
    raise UserError(f"{folder}: no answers; {instead(folder, wanted)}")
