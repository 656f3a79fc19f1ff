"""Procedural memories of a bank as memories of a store."""

import os
from collections.abc import Iterable, Sequence

from duomem_jax.memory.operations.records import PROCEDURE, Add
from duomem_jax.memory.store.change import Step, clean
from duomem_jax.memory.store.entry import Applied, Origin
from duomem_jax.memory.store.store import Store
from duomem_jax.records.episodes import Episode
from duomem_jax.records.memories import Memory


def import_bank(store: Store, folder: str | os.PathLike, *, who: str = "") -> list[Applied]:
    """Take the memories of a bank folder into a store, all in one transaction; see `add_scripts`.

    Raises:
        UserError: the folder is no bank, damaged or of an earlier version.
    """
    from duomem_jax.memory.bank import read_memories  # here, since it loads what reads datasets

    return add_scripts(store, read_memories(folder), who=who)


def add_scripts(store: Store, memories: Iterable[Memory], *, who: str = "") -> list[Applied]:
    """Take procedural memories into a store.

    Equal scripts under one key become one memory, whose evidence is all the games they were learnt
    from and whose uses add up. Its writer is the player of the first, its note that one's id.

    Args:
        store: where they go.
        memories: of a bank.
        who: whose they are to be.

    Returns:
        What became of each script; one that is known already is kept, without its uses.
    """
    groups: dict[tuple[str, str], list[Memory]] = {}
    for memory in memories:
        groups.setdefault((memory.key, memory.text), []).append(memory)
    steps = []
    for (key, text), same in groups.items():
        games = tuple(dict.fromkeys(memory.game_id for memory in same))
        origin = Origin(same[0].player, who, games[0], store.now(), same[0].id)
        add = clean(Add(text, evidence=games, kind=PROCEDURE, key=key))
        uses, successes = (sum(getattr(m, n) for m in same) for n in ("uses", "successes"))
        steps.append(Step(add, origin, uses, successes))
    return store.apply_steps(steps)


def stored_scripts(store: Store, *, who: str | Sequence[str] | None = None) -> list[Memory]:
    """The procedural memories of a store, as a bank has them: one for each game learnt from.

    Args:
        store: where they are.
        who: whose; None: everybody's.
    """
    return [
        Memory(
            id=entry.note or str(entry.id),
            key=entry.key,
            text=entry.text,
            game_id=game,
            player=entry.writer,
            uses=entry.uses,
            successes=entry.successes,
        )
        for entry in store.entries(who=who)
        if entry.kind == PROCEDURE
        # Written by hand, it was learnt from no game.
        for game in entry.evidence or ("",)
    ]


def credit_episodes(store: Store, episodes: Iterable[Episode]) -> int:
    """Count the episodes that memories were shown in, and how many of those were won.

    Returns:
        How many memories were counted.
    """
    of = {entry.note or str(entry.id): entry.id for entry in store.entries()}
    counted: set[int] = set()
    for episode in episodes:
        shown = {of[memory] for memory in episode.memory_ids if memory in of}
        store.credit(shown, episode.success)
        counted |= shown
    return len(counted)
