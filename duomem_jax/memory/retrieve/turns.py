"""The turns of a dialogue as documents, each found by what is said around it, too.

A question is often answered in the reply to a turn that has its words, so a turn's neighbours are
worth more to full-text search than any tuning of BM25. Vectors are of the turn alone: a window
would blur who said what.
"""

from datetime import datetime

from duomem_jax.base.days import written
from duomem_jax.memory.retrieve.in_memory import Document
from duomem_jax.records.dialogues import Dialogue, Session

# What leave-one-conversation-out chose on LoCoMo for each conversation.
BEFORE, AFTER = 2, 2


def documents(dialogue: Dialogue, *, before: int = BEFORE, after: int = AFTER) -> list[Document]:
    """One document for each turn, in order.

    Args:
        dialogue: whose turns.
        before: how many turns before it are its context, as far as its session has them.
        after: the same of the turns behind it.
    """
    return [
        Document(
            turn.said,
            turn.speaker,
            context(session, i, before=before, after=after),
            happened=session.at,
        )
        for session in dialogue.sessions
        for i, turn in enumerate(session.turns)
    ]


def context(session: Session, i: int, *, before: int = BEFORE, after: int = AFTER) -> str:
    """What is around turn i of a session, and its date in words: "8 May 2023"."""
    near = [*session.turns[max(0, i - before) : i], *session.turns[i + 1 : i + 1 + after]]
    date = written(datetime.fromisoformat(session.at))
    return "\n".join([*(f"{turn.speaker}: {turn.said}" for turn in near), date])
