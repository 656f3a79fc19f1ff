"""New games."""

from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_dir
from duomem_jax.stages.options import Folder
from duomem_jax.worlds import DEFAULT, open_world


def generate(out: Folder, /, count: int = 300, seed: int = 0, world: str = DEFAULT) -> str:
    """Write generated games, in their world's own file format, unless the folder is there already.

    Args:
        out: folder to write.
        count: how many games.
        seed: game i of a seed is always the same game.
        world: one that can generate games.

    Returns:
        One sentence on what was done.

    Raises:
        UserError: the world has no generator, the disk is full, or the folder is not writable.
    """
    if count < 1:
        raise UserError(f"count is {count}; give a whole number above 0")
    # A set is there whole or not at all: `atomic_dir` renames it once all games are written.
    if Path(out).exists():
        return f"{out}: already there, reused"
    with atomic_dir(out) as tmp:
        written = open_world(world).generate(tmp, count, seed)
    return f"{out}: {written} games written"
