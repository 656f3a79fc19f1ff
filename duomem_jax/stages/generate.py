"""New games."""

import json
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_dir, read_json
from duomem_jax.base.ranges import Count, Seed, checked
from duomem_jax.records.store.spec import refuse_difference
from duomem_jax.stages.options import Folder
from duomem_jax.worlds import DEFAULT, open_world

FACTS = "generated.json"  # what a folder of games was made with


@checked
def generate(out: Folder, /, count: Count = 300, seed: Seed = 0, world: str = DEFAULT) -> str:
    """Write generated games, in their world's own file format, unless the folder is there already.

    Args:
        out: folder to write.
        count: how many games.
        seed: the same seed gives the same games, in the same order.
        world: one that can generate games.

    Returns:
        One sentence on what was done.

    Raises:
        UserError: the world has no generator, the folder holds something else, is not writable, or
            the disk is full.
    """
    wanted = {"world": world, "count": count, "seed": seed}
    opened = open_world(world)
    # A set is there whole or not at all: `atomic_dir` renames it once all games are written.
    if Path(out, FACTS).exists():
        remedy = "choose another folder"
        refuse_difference(out, wanted, read_json(Path(out, FACTS), missing=remedy, damaged=remedy))
        if (there := len(opened.tasks(out))) != count:
            raise UserError(
                f"{out}: {there} of its {count} games are there; delete it and generate them again"
            )
        return f"{out}: already there, reused"
    with atomic_dir(out) as tmp:
        written = opened.generate(tmp, count, seed)
        (tmp / FACTS).write_text(json.dumps(wanted) + "\n")
    return f"{out}: {written} games written"
