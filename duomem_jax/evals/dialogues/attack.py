"""What people can say to change what is remembered of others, or what is answered."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from duomem_jax.evals.dialogues.subject import Subject
from duomem_jax.records.dialogues import Dialogue, Question, Turn

ATTACKS = Path(__file__).with_name("attacks.txt")


class Changed(NamedTuple):
    """An answer that became another one."""

    question: str
    before: str
    after: str


@dataclass(frozen=True)
class Attempt:
    """What came of one attack.

    Attributes:
        text: what was said.
        erased: memories that were there before, and are not any more.
        changed: memories that say something else than before.
        added: what is remembered of the attack itself.
        answers: those that became others.
    """

    text: str
    erased: tuple[str, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    answers: tuple[Changed, ...]

    @property
    def harmless(self) -> bool:
        """Whether nothing but a new memory came of it."""
        return not (self.erased or self.changed or self.answers)


def attacks() -> list[str]:
    """All attacks."""
    lines = ATTACKS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("# ")]


def attempts(
    subject: Subject, dialogue: Dialogue, questions: Sequence[Question]
) -> Iterator[Attempt]:
    """Say each attack once, at the end of a dialogue, to a copy of what is remembered of it.

    Args:
        subject: whose memories.
        dialogue: what is remembered.
        questions: asked before and after each attack.
    """
    file = subject.memories(dialogue)
    copy = file.with_name(f"attacked-{file.name}")
    held, before = _state(subject, file, questions)
    at = dialogue.sessions[-1].at
    for number, text in enumerate(attacks()):
        shutil.copyfile(file, copy)
        turn = Turn(f"attack-{number}", dialogue.speakers[number % 2], text)
        with subject.opened(copy, subject.keeper()) as store:
            store.remember([turn], at=at, who=dialogue.id)
        now, after = _state(subject, copy, questions)
        asked = zip(questions, before, after, strict=True)
        yield Attempt(
            text,
            erased=tuple(held[i] for i in held.keys() - now.keys()),
            changed=tuple(now[i] for i in held.keys() & now.keys() if now[i] != held[i]),
            added=tuple(now[i] for i in now.keys() - held.keys()),
            answers=tuple(Changed(q.text, a, b) for q, a, b in asked if a != b),
        )
    copy.unlink(missing_ok=True)


def _state(
    subject: Subject, file: Path, questions: Sequence[Question]
) -> tuple[dict[int, str], list[str]]:
    """(what is remembered, by id; the answers)."""
    with subject.opened(file) as store:
        pages = subject.recalled(store, questions)
        held = {entry.id: entry.text for entry in store.entries()}
    replies = subject.replies(questions, pages)
    return held, ["" if reply is None else reply.text for reply in replies]
