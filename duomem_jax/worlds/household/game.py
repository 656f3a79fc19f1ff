"""What a household game is, and what plays it."""

from dataclasses import dataclass, field
from typing import Protocol

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.base import Task

TASK_TYPES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)


@dataclass(frozen=True, kw_only=True)
class Game(Task):
    """One solvable household task; each is a group of its own.

    Attributes:
        id: unique name, `<split>/<task folder>/<trial>` for ALFWorld's own games.
        text: the words after "Your task is to: ", full stop included.
        kind: one of `TASK_TYPES`.
        pddl_problem: the world and its goal, in ALFWorld's PDDL domain.
        walkthrough: commands that win, written with knowledge of where things are.
        file: the `game.tw-pddl` it was read from, if it was.
    """

    pddl_problem: str = field(repr=False)
    walkthrough: tuple[str, ...] = field(repr=False)
    file: str | None = field(default=None, repr=False, compare=False)


class TextEnv(Protocol):
    """One game being played in words."""

    def reset(self) -> str:
        """Start again; return the first observation, which states the task."""
        ...

    def step(self, command: str) -> tuple[str, bool]:
        """Play `command`; return the observation and whether the goal holds now."""
        ...

    def admissible_commands(self) -> list[str]:
        """Every command that does something now, sorted."""
        ...


def task_type_of(name: str, source: str) -> str:
    """Read the task type off a game id or a folder name such as `<type>-Mug-None-Desk-301`.

    Raises:
        UserError: no known task type in `name`; `source` says where it came from.
    """
    # From the end, where the task folder is; folders above it may have any name.
    for part in reversed(name.split("/")):
        prefix = part.partition("-")[0]
        if prefix in TASK_TYPES:
            return prefix
    raise UserError(
        f"{source}: no task type in {name!r}; name the task folder "
        f"<task type>-<object>-<movable>-<receptacle>-<scene> with one of {', '.join(TASK_TYPES)}"
    )
