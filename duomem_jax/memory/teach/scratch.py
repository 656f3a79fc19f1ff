"""A store for the time of one piece of work, and facts told to a store."""

import contextlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.operations.records import Add
from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.keeper import Keeper
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import Dialogue, Fact

TEACHER = "teacher"  # who wrote it, in the history


@contextlib.contextmanager
def scratch_store(embedder: Embedder, keeper: Keeper | None = None) -> Iterator[Store]:
    """An empty store whose file is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="duomem-") as folder,
        Store.open(Path(folder) / "memories.sqlite", embedder=embedder, keeper=keeper) as store,
    ):
        yield store


def tell_facts(store: Store, dialogue: Dialogue, facts: Iterable[Fact]) -> None:
    """Add facts of a dialogue to a store, as things that were told in their sessions."""
    for session, told in itertools.groupby(facts, key=lambda fact: fact.session):
        origin = Origin(TEACHER, dialogue.id, happened=dialogue.sessions[session].at)
        store.apply([Add(fact.text, fact.speaker, fact.evidence) for fact in told], origin)
