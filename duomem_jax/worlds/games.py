"""Which games a stage plays."""

from collections.abc import Sequence

from duomem_jax.base.ranges import Limit, options
from duomem_jax.base.sample import spread
from duomem_jax.worlds import DEFAULT, open_world
from duomem_jax.worlds.base import Task, World


@options
class Games:
    """Which games: a place, a split of it, how many, and the world they are played in."""

    path: str  # folder or file, in a form that the world reads
    split: str = ""  # sub-folder or file in it; empty: all
    limit: Limit = 0  # so many, evenly spread over their order; 0: all
    world: str = DEFAULT  # one of `worlds.WORLDS`
    engine: str = ""  # what runs the world, where it has several; empty: its default

    def open_world(self) -> World:
        """The world they are played in.

        Raises:
            UserError: there is no such world or engine.
        """
        return open_world(self.world, self.engine)

    def load(self) -> Sequence[Task]:
        """The tasks, read when they are asked for.

        Raises:
            UserError: none there, or a broken one when it is read.
        """
        return spread(self.open_world().tasks(self.path, self.split), self.limit)

    def protocol(self, max_steps: int) -> str:
        """What is played how, for a report: `games valid_seen, at most 50 steps, fast engine`."""
        where, engine = f"{self.path} {self.split}".strip(), self.open_world().engine
        limit = f"{where}, at most {max_steps} steps"
        return f"{limit}, {engine} engine" if engine else limit
