"""Lessons in reading: a task that only the advice beside it explains, being solved."""

from dataclasses import dataclass
from typing import NamedTuple

from duomem_jax.records.episodes import Turn


class Advice(NamedTuple):
    """How a task of the same sort, or of another one, was solved.

    Attributes:
        task: in words.
        script: the procedure that solved it.
    """

    task: str
    script: str


@dataclass(frozen=True)
class Lesson:
    """A conversation to learn from.

    Attributes:
        turns: what was seen, thought and done.
        advice: what stands before the first observation.
    """

    turns: tuple[Turn, ...]
    advice: tuple[Advice, ...] = ()
