"""Episodes to memories."""

from functools import partial
from pathlib import Path
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.memory.build import build_memories
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.maintain import update_memories
from duomem_jax.memory.write import Writer, Writing
from duomem_jax.records.store.write import WriteReport
from duomem_jax.speak.served.server import PREFIX, Server, served_name
from duomem_jax.stages.play import _record
from duomem_jax.stages.played import world_of

SCRIPT = "script"  # what a world's writer that needs no model is called by custom


def remember(
    episodes: str,
    out: str,
    embedder: str = "hashing",
    shard: Shard = WHOLE,
    writer: str = SCRIPT,
    how: Writing = Writing(),
    server: Server = Server(),
) -> WriteReport:
    """Write a memory for each won episode.

    Raises:
        UserError: no won episode, or an output folder of another config.
    """
    write, config = _writer(writer, episodes, how, server, _record(out, shard))
    return build_memories(
        episodes, out, make_embedder(embedder), write=write, writer=config, shard=shard
    )


def maintain(
    memories: str,
    episodes: str,
    out: str,
    embedder: str = "hashing",
    writer: str = SCRIPT,
    how: Writing = Writing(),
    server: Server = Server(),
) -> WriteReport:
    """Write a new bank: the old one judged by episodes that used it, with what they add.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    write, config = _writer(writer, episodes, how, server, _record(out))
    return update_memories(
        memories, episodes, out, make_embedder(embedder), write=write, writer=config
    )


def _writer(
    writer: str, episodes: str, how: Writing, server: Server, record: Path
) -> tuple[Writer, str | dict[str, Any]]:
    """What writes memories, and its identity."""
    if name := served_name(writer):
        from duomem_jax.memory.served import ServedWriter

        served = ServedWriter(name, how, server, record)
        return served, served.config
    world = world_of(episodes)
    if writer not in world.writers:
        known = [*world.writers, f"{PREFIX}NAME of a model"]
        raise UserError(
            f"writer={writer}: the world {world.name} has none of that name; give "
            f"{' or '.join(known)}"
        )
    return partial(map, world.writers[writer]), writer
