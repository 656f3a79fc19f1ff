"""Episodes to memories."""

from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.memory.build import build_memories
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.maintain import update_memories
from duomem_jax.memory.write import SCRIPT, Writing, make_writer
from duomem_jax.records.store.write import WriteReport
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.play import _record
from duomem_jax.stages.played import world_of


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
        UserError: no won episode, no such writer, or an output folder of another config.
    """
    made = make_writer(writer, world_of(episodes), how, server, _record(out, shard))
    return build_memories(episodes, out, make_embedder(embedder), writer=made, shard=shard)


def maintain(
    memories: str,
    episodes: str,
    out: str,
    embedder: str = "hashing",
    writer: str = SCRIPT,
    how: Writing = Writing(),
    server: Server = Server(),
) -> WriteReport:
    """Write a new bank: credit and prune the old one by episodes that used it, add what they won.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    made = make_writer(writer, world_of(episodes), how, server, _record(out))
    return update_memories(memories, episodes, out, make_embedder(embedder), writer=made)
