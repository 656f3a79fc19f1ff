"""What writes memories: rules by name, or any model that answers chats."""

import functools
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.memory.write.protocol import RuleWriter, Writer, written
from duomem_jax.memory.write.speaker import SpeakerWriter, Writing
from duomem_jax.speak.open import speaker_identity
from duomem_jax.speak.served.server import PREFIX, Server
from duomem_jax.worlds.base import World

__all__ = ["SCRIPT", "SpeakerWriter", "Writer", "Writing", "make_writer", "written"]

SCRIPT = "script"  # what a world's own writer, which needs no model, is called by custom


def make_writer(writer: str, world: World, how: Writing, server: Server, record: Path) -> Writer:
    """A writer that is ready; a model is opened when it is first called.

    Args:
        writer: a rule-based writer of the world, a folder, a hub id, a shipped model, or
            openai:NAME.
        world: where the episodes were played.
        how: prompt, sampling, and how a model that runs here is held.
        server: where and how hard a served model is asked.
        record: where its answers and their cost are kept, see `speak.served.model.ServedModel`.

    Raises:
        UserError: no such writer, a bad prompt or a bad number.
    """
    if writer in world.writers:
        # A world's writer takes one episode; a `Writer` takes many, as a model does.
        return RuleWriter(writer, functools.partial(map, world.writers[writer]))
    try:
        # Asked here, where no weights are loaded yet: a name that means nothing is refused at once.
        identity = speaker_identity(writer, how.local)
    except UserError as e:
        rules = ", ".join(world.writers) or "nothing"
        others = f"{rules} needs no model, {PREFIX}NAME is behind a server"
        raise UserError(f"writer {e}; {others}") from e
    return SpeakerWriter(writer, identity, how, server, record)
