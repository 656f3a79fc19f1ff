"""Procedural memories of a bank as memories of a store."""

import os
from collections.abc import Iterable

from duomem_jax.memory.operations.records import PROCEDURE, Add
from duomem_jax.memory.store.change import Step, clean
from duomem_jax.memory.store.entry import Applied, Origin
from duomem_jax.memory.store.store import Store
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
