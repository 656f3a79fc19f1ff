"""What the rest of the code may know of a world: tasks, steps, and what a world brings along."""

import abc
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from duomem_jax.base.errors import UserError
from duomem_jax.records.episodes import Episode, Move
from duomem_jax.records.lessons import Lesson


@dataclass(frozen=True)
class Task:
    """Something to do in a world; a world's own tasks may hold more, such as where things lie.

    Attributes:
        id: unique name.
        text: the task in words; memories are looked up by it.
        kind: what tables group results by.
        group: what is drawn together in statistics, because it is not independent: tasks in one
            room, say; the task alone when empty.
    """

    id: str
    text: str
    kind: str
    group: str = ""

    def __post_init__(self) -> None:
        if not self.group:
            # The only way for a frozen dataclass to set a field of its own.
            object.__setattr__(self, "group", self.id)


@dataclass(frozen=True)
class Step:
    """What a command led to.

    Attributes:
        observation: in words.
        done: whether the game is over, won or lost.
        score: from 0 to 1, of the game as it stands now.
    """

    observation: str
    done: bool
    score: float


class Environment(Protocol):
    """One task being played in words."""

    def reset(self) -> str:
        """Start again; return the first observation, which states the task."""
        ...

    def step(self, command: str) -> Step:
        """Play `command`; one that means nothing is answered in words, too."""
        ...


class RulePlayer(Protocol):
    """A player of one game at a time that needs no model."""

    def reset(self, first_observation: str) -> None:
        """Begin a game."""
        ...

    def act(self, observation: str) -> Move:
        """Answer `observation`, the first one included, with a move."""
        ...


@functools.cache  # read from disk otherwise, once for each episode
def release(package: str) -> str:
    """The version of an installed package."""
    return metadata.version(package)


TaskT = TypeVar("TaskT", bound=Task)


class World(abc.ABC, Generic[TaskT]):
    """A kind of text games. One is added as a subclass in a file and a line in `worlds.WORLDS`.

    Only tasks, environments and the prompt are needed; the rest has defaults for a world that
    brings nothing along.

    Attributes:
        name: as in `WORLDS` and in episodes.
        engines: ways to run it, such as a fast one and the original; the first is the default.
        engine: the one that was chosen; "" where there is no choice.
        prompt: how it is played, for models that were not trained to: a system message.
        kinds: short name of each kind of task, in the order of the columns of tables.
        players: rule-based players by name, a new one for each game.
        writers: rule-based writers of memories by name: the script of a won episode.
    """

    name: ClassVar[str]
    prompt: ClassVar[str]
    engines: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[Mapping[str, str]] = {}
    players: ClassVar[Mapping[str, Callable[[], RulePlayer]]] = {}
    writers: ClassVar[Mapping[str, Callable[[Episode], str]]] = {}

    def __init__(self, engine: str = ""):
        """Choose an engine; "" takes the default.

        Raises:
            UserError: the world has no such engine.
        """
        if engine and engine not in self.engines:
            choice = f"choose one of {', '.join(self.engines)}" if self.engines else "omit it"
            raise UserError(f"engine: the world {self.name} has no engine {engine!r}; {choice}")
        self.engine = engine or next(iter(self.engines), "")

    @abc.abstractmethod
    def tasks(self, path: str | Path, split: str = "") -> Sequence[TaskT]:
        """Find the tasks at `path`, or those of one split of it, in a stable order.

        Raises:
            UserError: there are none, or one is broken when it is read.
        """

    @abc.abstractmethod
    def open(self, task: TaskT) -> Environment:
        """Get `task` ready to be played.

        Raises:
            UserError: it cannot be played, or what the engine needs is not installed.
        """

    def about(self, name: str) -> Callable[[TaskT], bool]:
        """Whether a task is about something: of the kind that tables call `name`.

        A world may tell tasks by other names, too.

        Raises:
            UserError: no task is called so.
        """
        for kind, short in self.kinds.items():
            if short == name:
                return lambda task: task.kind == kind
        known = ", ".join(self.kinds.values()) or "none"
        raise UserError(
            f"world {self.name}: it has no kind of tasks {name!r}; its kinds are {known}"
        )

    @property
    def config(self) -> dict[str, Any]:
        """Identity of the world, for what is played in it; JSON."""
        return {"name": self.name, "engine": self.engine}

    @property
    def version(self) -> str:
        """Engine and release, so that a later difference between episodes can be explained."""
        return f"{self.engine} {release('duomem-jax')}".strip()

    def generate(self, folder: Path, count: int, seed: int) -> int:
        """Write `count` new tasks in the form that `tasks` reads; return how many were written.

        Task i of a seed is always the same.

        Raises:
            UserError: the world has no generator, or the disk is full.
        """
        raise UserError(
            f"world {self.name}: it has no generator; fetch its tasks from their source"
        )

    def lessons(
        self, tasks: Sequence[TaskT], seed: int, *, without: str = ""
    ) -> Callable[[int], Lesson]:
        """Made-up tasks being solved in the rooms of `tasks`, each by its number.

        Lesson i of a seed is always the same.

        Args:
            tasks: whose rooms they are.
            seed: of everything that is drawn.
            without: as in `about`; no lesson has what sets these tasks apart.

        Raises:
            UserError: the world makes up no tasks, or has no room for them.
        """
        raise UserError(f"world {self.name}: it makes up no tasks, so there are no lessons in it")
