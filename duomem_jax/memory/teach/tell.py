"""Tell a store of a dialogue: its turns, or facts of it."""

import itertools
from collections.abc import Iterable

from duomem_jax.memory.operations.records import Add
from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import Dialogue, Fact

TEACHER = "teacher"  # who wrote it, in the history


def tell_turns(store: Store, dialogue: Dialogue) -> None:
    """Let a store's keeper remember a dialogue session by session."""
    store.keeper.expect(dialogue.sessions)
    for session in dialogue.sessions:
        store.remember(session.turns, at=session.at, who=dialogue.id)


def tell_facts(store: Store, dialogue: Dialogue, facts: Iterable[Fact]) -> None:
    """Add facts of a dialogue to a store, as things that were told in their sessions."""
    for session, told in itertools.groupby(facts, key=lambda fact: fact.session):
        origin = Origin(TEACHER, dialogue.id, happened=dialogue.sessions[session].at)
        store.apply([Add(fact.text, fact.speaker, fact.evidence) for fact in told], origin)
