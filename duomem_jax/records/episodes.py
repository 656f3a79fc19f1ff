"""Played games: what an agent saw, thought and did."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from duomem_jax.records.store.features import Layout


@dataclass(frozen=True)
class Turn:
    """One step: the observation seen before acting, the reasoning, the command."""

    observation: str
    thought: str
    action: str


@dataclass(frozen=True)
class Episode:
    """One played game.

    Attributes:
        turns: `turns[0].observation` is the whole reset text.
        final_observation: what the last action led to.
        player: who played it (expert, a model folder's name, a served model's name).
        seed: of the player's choices; (game_id, seed) names an episode.
        engine: text engine and its version.
        memory_ids: memories shown to the player, if any.
    """

    game_id: str
    task: str
    task_type: str
    turns: tuple[Turn, ...]
    final_observation: str
    success: bool
    player: str
    seed: int
    engine: str
    memory_ids: tuple[str, ...] = ()


EPISODE_LAYOUT: Layout = {
    "game_id": "text",
    "task": "text",
    "task_type": "text",
    "turns": [{"observation": "text", "thought": "text", "action": "text"}],
    "final_observation": "text",
    "success": "bool",
    "player": "text",
    "seed": "int64",
    "engine": "text",
    "memory_ids": ["text"],
}


def episode_key(game_id: str, seed: int) -> str:
    """Name of an episode inside its dataset."""
    return f"{game_id}#{seed}"


def episode_to_record(episode: Episode) -> dict[str, Any]:
    """Plain dictionary of an episode, also fit for JSON."""
    record = asdict(episode)
    return record | {"turns": list(record["turns"]), "memory_ids": list(episode.memory_ids)}


def episode_from_record(record: dict[str, Any]) -> Episode:
    """Inverse of `episode_to_record`; takes the stored form (a list per turn field) too."""
    turns = record["turns"]
    if isinstance(turns, dict):
        columns = (turns["observation"], turns["thought"], turns["action"])
        steps = [Turn(*step) for step in zip(*columns, strict=True)]
    else:
        steps = [Turn(**t) for t in turns]
    rest = {k: record[k] for k in ("game_id", "task", "task_type", "final_observation")}
    return Episode(
        **rest,
        turns=tuple(steps),
        success=bool(record["success"]),
        player=record["player"],
        seed=int(record["seed"]),
        engine=record["engine"],
        memory_ids=tuple(record["memory_ids"]),
    )


class EpisodeReader(Sequence):
    """Random access to stored episodes as `Episode`s.

    Args:
        records: what `read_dataset(folder, split)` returned.
    """

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return episode_from_record(self.records[index])

    def __iter__(self) -> Iterator[Episode]:
        return (self[i] for i in range(len(self)))
