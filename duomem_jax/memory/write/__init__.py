"""What writes memories: rules by name, or any model that answers chats."""

from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.memory.write.protocol import RuleWriter, Writer, written
from duomem_jax.memory.write.speaker import SpeakerWriter, Writing
from duomem_jax.speak.open import speaker_identity
from duomem_jax.speak.served.server import PREFIX, Server
from duomem_jax.worlds.household.script import write_scripts

__all__ = ["SCRIPT", "WRITERS", "SpeakerWriter", "Writer", "Writing", "make_writer", "written"]

SCRIPT = "script"
# Writers that need no model, by name: a world abstracts its own episodes.
WRITERS: dict[str, Writer] = {SCRIPT: RuleWriter(SCRIPT, write_scripts)}


def make_writer(writer: str, how: Writing, server: Server, record: Path) -> Writer:
    """A writer that is ready; a model is opened when it is first called.

    Args:
        writer: one of `WRITERS`, a folder, a hub id, a shipped model, or openai:NAME.
        how: prompt, sampling, and how a model that runs here is held.
        server: where and how hard a served model is asked.
        record: where its answers and their cost are kept, see `served.model.ServedModel`.

    Raises:
        UserError: no such writer, a bad prompt or a bad number.
    """
    if writer in WRITERS:
        return WRITERS[writer]
    try:
        identity = speaker_identity(writer, how.local)
    except UserError as e:
        others = f"{', '.join(WRITERS)} needs no model, {PREFIX}NAME is behind a server"
        raise UserError(f"writer {e}; {others}") from e
    return SpeakerWriter(writer, identity, how, server, record)
