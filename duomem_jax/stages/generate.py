"""New games."""

from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_dir
from duomem_jax.worlds import DEFAULT, open_world


def make_games(folder: str, count: int, seed: int, world: str = DEFAULT) -> str:
    """Generate games unless the folder is there already; one sentence on what was done.

    Raises:
        UserError: the world has no generator, the disk is full, or the folder is not writable.
    """
    if count < 1:
        raise UserError(f"count is {count}; give a whole number above 0")
    if Path(folder).exists():
        return f"{folder}: already there, reused"
    with atomic_dir(folder) as tmp:
        written = open_world(world).generate(tmp, count, seed)
    return f"{folder}: {written} games written"
