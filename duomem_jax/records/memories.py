"""One procedural memory."""

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any

from duomem_jax.records.episodes import Episode
from duomem_jax.records.store.features import Layout

FORMAT = 2  # of stored memories; 1 held the whole episode, which nobody read


@dataclass(frozen=True)
class Memory:
    """A script abstracted from a won episode.

    Attributes:
        id: hash of the episode's name, its player and the script.
        key: task text; this is what is embedded.
        text: the script.
        game_id: the game it was learnt from, in which it is never shown.
        player: who won that game.
        uses: episodes it was shown in.
        successes: how many of those were won.
    """

    id: str
    key: str
    text: str
    game_id: str
    player: str
    uses: int = 0
    successes: int = 0


# `f.type` is the class only while this module does not postpone its annotations.
MEMORY_LAYOUT: Layout = {f.name: "int64" if f.type is int else "text" for f in fields(Memory)}


def make_memory(episode: Episode, text: str) -> Memory:
    """Memory of a script written from `episode`, never shown yet."""
    # Episodes refer to memories by id, across banks: it depends on what a memory is, not on when or
    # where it was written.
    name = "\0".join((episode.game_id, str(episode.seed), episode.player, text))
    return Memory(
        id=hashlib.sha256(name.encode()).hexdigest()[:16],
        key=episode.task,
        text=text,
        game_id=episode.game_id,
        player=episode.player,
    )


def memory_to_record(memory: Memory) -> dict[str, Any]:
    """Stored form."""
    return asdict(memory)


def memory_from_record(record: dict[str, Any]) -> Memory:
    """Inverse of `memory_to_record`."""
    counts = {name: int(record[name]) for name in ("uses", "successes")}
    return Memory(**(record | counts))
