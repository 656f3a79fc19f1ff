"""Which games a stage plays."""

import dataclasses
from collections.abc import Sequence

from duomem_jax.base.sample import spread
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.load import load_games


@dataclasses.dataclass(frozen=True)
class Games:
    """Which games: a place, a split of it, and how many."""

    path: str  # json_2.1.1 folder, generated folder, or .jsonl[.xz] file
    split: str = ""  # sub-folder or file in it; empty: all
    limit: int = 0  # so many, evenly spread over the task types; 0: all

    def load(self) -> Sequence[Game]:
        """The games, read when they are asked for.

        Raises:
            UserError: none there, or a broken one when it is read.
        """
        return spread(load_games(self.path, split=self.split or None), self.limit)
