"""Which games a stage plays."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import Limit, Seed, options
from duomem_jax.base.sample import few_of_each, spread
from duomem_jax.worlds import DEFAULT, open_world
from duomem_jax.worlds.base import Task, World


@options
class Games:
    """Which games: a place, a split of it, how many, and the world they are played in."""

    path: str  # folder or file, in a form that the world reads
    split: str = ""  # sub-folder or file in it; empty: all
    limit: Limit = 0  # so many, evenly spread over their order; 0: all
    per_kind: Limit = 0  # so many of each kind of task, or all there are; 0: all
    draw: Seed = 0  # of which these are
    world: str = DEFAULT  # one of `worlds.WORLDS`
    engine: str = ""  # what runs the world, where it has several; empty: its default

    def open_world(self) -> World:
        """The world they are played in.

        Raises:
            UserError: there is no such world or engine.
        """
        return open_world(self.world, self.engine)

    def load(self) -> list[Task]:
        """The tasks.

        Raises:
            UserError: none there, a broken one, or two of one id.
        """
        tasks = self.open_world().tasks(self.path, self.split)
        if self.per_kind:
            tasks = few_of_each(
                tasks, self.per_kind, lambda task: task.kind, lambda task: task.id, self.draw
            )
        tasks = list(spread(tasks, self.limit))
        seen: set[str] = set()
        for task in tasks:
            # Episodes and results are told apart by it: of two games one would be lost.
            if task.id in seen:
                raise UserError(
                    f"{self.path}: two games have the id {task.id!r}; give each its own, or remove "
                    "one of them"
                )
            seen.add(task.id)
        return tasks

    def about(self, name: str) -> frozenset[str]:
        """Ids of the games that are about something, by its name in `World.about`.

        Raises:
            UserError: as `load`, or the world knows no such name.
        """
        told = self.open_world().about(name)
        return frozenset(task.id for task in self.load() if told(task))

    def protocol(self, max_steps: int) -> str:
        """What is played how, for a report: `games valid_seen, at most 50 steps, fast engine`."""
        where, engine = f"{self.path} {self.split}".strip(), self.open_world().engine
        limit = f"{where}, at most {max_steps} steps"
        return f"{limit}, {engine} engine" if engine else limit


def identity_of(tasks: Iterable[Task]) -> dict[str, Any]:
    """What some games are, wherever they lie: how many, and a hash of their contents; JSON."""
    # Sorted: the same games from one file or from several are the same games.
    lines = sorted(json.dumps(_content(task)) for task in tasks)
    return {"count": len(lines), "content": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


def _content(task: Task) -> dict[str, Any]:
    """All of a task but what does not count when two are compared, such as its file."""
    return {field.name: getattr(task, field.name) for field in fields(task) if field.compare}
