"""Episodes to memories."""

from duomem_jax.base.shard import WHOLE
from duomem_jax.memory.build import build_memories
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.memory.maintain import update_memories
from duomem_jax.memory.write import SCRIPT, Writing, make_writer
from duomem_jax.records.store.write import WriteReport
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.options import Folder, Part, served_record
from duomem_jax.stages.played import world_of


def memories(
    out: Folder,
    /,
    episodes: str,
    embedder: str = DEFAULT_EMBEDDER,
    shard: Part = WHOLE,
    writer: str = SCRIPT,
    how: Writing = Writing(),
    server: Server = Server(),
) -> WriteReport:
    """Write one procedural memory for each won episode.

    Args:
        out: folder to write.
        episodes: folder of episodes, from `duomem play`.
        embedder: hashing, sentence-transformers[:model] or openai[:model].
        shard: write part i/n.
        writer: script (rules of the world, no model), or a model: folder, hub id, shipped one, or
            openai:NAME.
        how: prompt and sampling of a model that writes, and how one that runs here is held.
        server: where a writer openai:NAME is.

    Raises:
        UserError: no won episode, no such writer, or an output folder of another config.
    """
    # Answers of a served writer are paid for once, so a shard keeps its own record of them.
    made = make_writer(writer, world_of(episodes), how, server, served_record(out, shard))
    return build_memories(episodes, out, make_embedder(embedder), writer=made, shard=shard)


def maintain(
    out: Folder,
    /,
    memories: str,
    episodes: str,
    embedder: str = DEFAULT_EMBEDDER,
    writer: str = SCRIPT,
    how: Writing = Writing(),
    server: Server = Server(),
) -> WriteReport:
    """Write a new bank after use: drop memories that misled, add what was newly won.

    Args:
        out: folder to write; the old bank stays as it is.
        memories: the bank.
        episodes: what was played with it, from `duomem play`.
        embedder: the one of the bank.
        writer: script (rules of the world, no model), or a model: folder, hub id, shipped one, or
            openai:NAME.
        how: prompt and sampling of a model that writes, and how one that runs here is held.
        server: where a writer openai:NAME is.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    made = make_writer(writer, world_of(episodes), how, server, served_record(out, WHOLE))
    return update_memories(memories, episodes, out, make_embedder(embedder), writer=made)
