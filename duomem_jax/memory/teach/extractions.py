"""Demonstrations of extraction."""

from collections.abc import Iterator, Sequence

from duomem_jax.memory.operations.extract import (
    Noted,
    Window,
    extract_chat,
    extract_reply,
    windows,
)
from duomem_jax.memory.operations.names import EXTRACT
from duomem_jax.records import chat
from duomem_jax.records.demonstrations import Demonstration
from duomem_jax.records.dialogues import Dialogue, Fact
from duomem_jax.worlds.dialogues import teacher


def extractions(dialogue: Dialogue) -> Iterator[Demonstration]:
    """What a teacher notes of each window of turns, also where that is nothing."""
    for number, session in enumerate(dialogue.sessions):
        for part, window in enumerate(windows(session.turns, session.at)):
            facts = teacher.extract(dialogue, number, [turn.id for turn in window.turns])
            reply = extract_reply(_noted(window, facts))
            yield Demonstration(
                f"{dialogue.id}/{number}/{part}",
                EXTRACT,
                dialogue.id,
                [*extract_chat(window), chat.assistant(reply)],
            )


def _noted(window: Window, facts: Sequence[Fact]) -> list[Noted]:
    """The facts of a window, each at the last turn that says it."""
    place = {turn.id: i for i, turn in enumerate(window.turns)}
    noted = [
        Noted(max(place[turn] for turn in fact.evidence if turn in place), fact.text)
        for fact in facts
    ]
    return sorted(noted, key=lambda note: note.turn)
