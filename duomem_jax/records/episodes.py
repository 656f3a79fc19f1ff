"""Played games: what an agent saw, thought and did."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from duomem_jax.base.errors import UserError
from duomem_jax.records.store.features import Layout, structures
from duomem_jax.records.store.reader import Mapped

FULL_SCORE = 1.0


def is_success(score: float) -> bool:
    """Whether a game with this score at its end was won."""
    return score >= FULL_SCORE


class Move(NamedTuple):
    """What a player answers: the reasoning, and the command."""

    thought: str
    action: str


@dataclass(frozen=True)
class Turn:
    """One step.

    Attributes:
        observation: seen before acting.
        thought: the reasoning.
        action: the command.
        learnt: whether students learn this reply; they read it in any case.
    """

    observation: str
    thought: str
    action: str
    learnt: bool = True


@dataclass(frozen=True)
class Episode:
    """One played game.

    Attributes:
        task: what was to be done, in words.
        kind: of the task, as its world groups them.
        turns: `turns[0].observation` is the whole reset text.
        final_observation: what the last action led to.
        score: at the end, from 0 to `FULL_SCORE`.
        player: who played it (a rule-based player, a model folder's name, a served model's name).
        seed: of the player's choices; (game_id, seed) names an episode.
        world: where it was played, one of `worlds.WORLDS`.
        version: engine and release that played it.
        memory_ids: memories shown to the player, if any.
    """

    game_id: str
    task: str
    kind: str
    turns: tuple[Turn, ...]
    final_observation: str
    score: float
    player: str
    seed: int
    world: str
    version: str
    memory_ids: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        """Whether it was won."""
        return is_success(self.score)


EPISODE_LAYOUT: Layout = {
    "game_id": "text",
    "task": "text",
    "kind": "text",
    "turns": [{"observation": "text", "thought": "text", "action": "text", "learnt": "bool"}],
    "final_observation": "text",
    "score": "float32",
    "player": "text",
    "seed": "int64",
    "world": "text",
    "version": "text",
    "memory_ids": ["text"],
}


def episode_key(game_id: str, seed: int) -> str:
    """Name of an episode inside its dataset."""
    return f"{game_id}#{seed}"


def episode_to_record(episode: Episode) -> dict[str, Any]:
    """Plain dictionary of an episode, also fit for JSON."""
    # `asdict` keeps tuples; layouts and JSON have lists.
    record = asdict(episode)
    return record | {"turns": list(record["turns"]), "memory_ids": list(episode.memory_ids)}


def episode_from_record(record: dict[str, Any]) -> Episode:
    """Inverse of `episode_to_record`; takes the stored form (a list per turn field) too."""
    steps = [
        # Every reply was learnt before there was a field for it.
        Turn(turn["observation"], turn["thought"], turn["action"], bool(turn.get("learnt", True)))
        for turn in structures(record["turns"])
    ]
    # Numbers come from the store as numpy's and are made plain below, as JSON needs them.
    rest = {name: record[name] for name, kind in EPISODE_LAYOUT.items() if kind == "text"}
    return Episode(
        **rest,
        turns=tuple(steps),
        score=float(record["score"]),
        seed=int(record["seed"]),
        memory_ids=tuple(record["memory_ids"]),
    )


class EpisodeReader(Mapped[Episode]):
    """Random access to stored episodes as `Episode`s.

    Args:
        records: what `read_dataset(folder, split)` returned.
        where: the folder they are from, for messages.

    Raises:
        UserError: they were stored by a version whose episodes had other fields.
    """

    def __init__(self, records: Sequence[dict[str, Any]], where: object = "episodes") -> None:
        if isinstance(records, str | os.PathLike):
            raise TypeError(f"{records}: give the records, or call `read_episodes` with a folder")
        # The first is enough: all records of a dataset have one layout.
        if len(records) and (missing := sorted(EPISODE_LAYOUT.keys() - records[0].keys())):
            raise UserError(
                f"{where}: episodes of an older version, without the field {missing[0]}; play "
                "them again into a new folder"
            )
        super().__init__(records, episode_from_record)
