"""ALFWorld's household as one of the worlds: the only door to what lies in this folder."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from duomem_jax.base.errors import UserError
from duomem_jax.records.episodes import FULL_SCORE
from duomem_jax.records.lessons import Lesson
from duomem_jax.worlds.base import RulePlayer, Step, World, release
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.expert.player import Expert
from duomem_jax.worlds.household.expert.prior import LocationPrior
from duomem_jax.worlds.household.game import Game, TextEnv
from duomem_jax.worlds.household.load import load_games
from duomem_jax.worlds.household.made_up.lessons import MadeUp
from duomem_jax.worlds.household.script import write_script
from duomem_jax.worlds.household.sentences import parse_goal


def _textworld(game: Game) -> TextEnv:
    from duomem_jax.worlds.household.textworld import TextWorldEnv

    return TextWorldEnv(game)


# One line per engine: anything that turns a Game into a TextEnv.
ENGINES: dict[str, Callable[[Game], TextEnv]] = {
    "fast": FastEngine,
    "textworld": _textworld,
}
_PACKAGES = {"fast": "duomem-jax", "textworld": "textworld"}  # whose release changes an engine


# Read from disk once; a new player is made for every game.
@functools.cache
def _prior() -> LocationPrior:
    return LocationPrior.default()


def _expert() -> RulePlayer:
    return Expert(_prior())


class HouseholdEnv:
    """A game in one of `ENGINES`, with the score that a world tells.

    There is no half-done household task: the score is full or nothing, and goes down again when
    playing on undoes the goal.
    """

    def __init__(self, engine: TextEnv):
        self._engine = engine

    def reset(self) -> str:
        """Start again; return the first observation, which states the task."""
        return self._engine.reset()

    def step(self, command: str) -> Step:
        """Play `command`; the game is over when its goal holds."""
        observation, won = self._engine.step(command)
        return Step(observation, won, FULL_SCORE if won else 0.0)


class Household(World[Game]):
    """Household tasks in rooms that are described in words."""

    name = "household"
    engines = tuple(ENGINES)
    prompt = Path(__file__).with_name("play.md").read_text(encoding="utf-8").strip()
    kinds: ClassVar = {
        "pick_and_place_simple": "put",
        "look_at_obj_in_light": "examine",
        "pick_clean_then_place_in_recep": "clean",
        "pick_heat_then_place_in_recep": "heat",
        "pick_cool_then_place_in_recep": "cool",
        "pick_two_obj_and_place": "put two",
    }
    players: ClassVar = {"expert": _expert}
    writers: ClassVar = {"script": write_script}

    def tasks(self, path: str | Path, split: str = "") -> Sequence[Game]:
        """Find ALFWorld's or generated games, see `load_games`."""
        return load_games(path, split=split or None)

    def open(self, task: Game) -> HouseholdEnv:
        """Get `task` ready to be played in the chosen engine."""
        return HouseholdEnv(ENGINES[self.engine](task))

    def about(self, name: str) -> Callable[[Game], bool]:
        """Tasks by their kind, or by the kind of receptacle that is their goal."""
        if name in self.kinds.values():
            return super().about(name)
        if name not in _prior().receptacles:
            raise UserError(
                f"world {self.name}: no tasks are about {name!r}; name a kind of tasks "
                f"({', '.join(self.kinds.values())}) or of receptacles, such as drawer"
            )

        def has_goal(game: Game) -> bool:
            goal = parse_goal(game.text)
            return goal is not None and goal.target == name

        return has_goal

    @property
    def version(self) -> str:
        """The engine, and the release of the package it is from."""
        return f"{self.engine} {release(_PACKAGES[self.engine])}"

    def generate(self, folder: Path, count: int, seed: int) -> int:
        """Write games in ALFWorld's own file format."""
        from duomem_jax.worlds.household.generate import generate_games, write_games

        return write_games(folder, generate_games(count, seed))

    def lessons(
        self, tasks: Sequence[Game], seed: int, *, without: str = ""
    ) -> Callable[[int], Lesson]:
        """The expert follows made-up procedures."""
        # A kind by ALFWorld's own name of it; a receptacle has but one name.
        kinds = {short: kind for kind, short in self.kinds.items()}
        return MadeUp(tasks, seed, without=kinds.get(without, without)).lesson
