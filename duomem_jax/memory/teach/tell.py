"""Tell a store of a dialogue: its turns, or facts of it."""

import itertools
from collections.abc import Iterable

from duomem_jax.memory.operations.records import Add
from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.store import Store
from duomem_jax.memory.store.taken import NOTHING_TAKEN, take
from duomem_jax.records.dialogues import Dialogue, Fact
from duomem_jax.records.pictures import PictureFolder

TEACHER = "teacher"  # who wrote it, in the history


def tell_turns(store: Store, dialogue: Dialogue, pictures: PictureFolder | None = None) -> None:
    """Let a store's keeper remember a dialogue session by session.

    Args:
        store: where it goes.
        dialogue: what is told.
        pictures: the files of what is shared; None: what is said of it is told alone.

    Raises:
        UserError: a file is missing, or the keeper's model fails.
    """
    store.keeper.expect(dialogue.sessions)
    for session in dialogue.sessions:
        shared = pictures.shared(session.turns) if pictures else {}
        store.remember(session.turns, at=session.at, who=dialogue.id, pictures=shared)


def tell_facts(
    store: Store, dialogue: Dialogue, facts: Iterable[Fact], pictures: PictureFolder | None = None
) -> None:
    """Add facts of a dialogue to a store, as things that were told in their sessions.

    Args:
        store: where they go.
        dialogue: what they are of.
        facts: in the order of sessions.
        pictures: as in `tell_turns`.

    Raises:
        UserError: a file is missing.
    """
    for number, told in itertools.groupby(facts, key=lambda fact: fact.session):
        session = dialogue.sessions[number]
        origin = Origin(TEACHER, dialogue.id, happened=session.at)
        taken = take(session.turns, pictures.shared(session.turns)) if pictures else NOTHING_TAKEN
        store.apply([Add(fact.text, fact.speaker, fact.evidence) for fact in told], origin, taken)
