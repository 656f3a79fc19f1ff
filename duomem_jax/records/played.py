"""The stage that stores episodes while they are being played."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.records.episodes import (
    EPISODE_LAYOUT,
    Episode,
    EpisodeReader,
    episode_key,
    episode_to_record,
)
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import EPISODES, SPLIT
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset

Wanted = tuple[str, int]  # game id, seed


def write_episodes(
    out: str | os.PathLike,
    wanted: Sequence[Wanted],
    play: Callable[[list[Wanted]], Iterable[Episode]],
    *,
    source: dict[str, Any],
    config: dict[str, Any],
    seed: int,
    notes: dict[str, Any] | None = None,
    shard: Shard = WHOLE,
) -> WriteReport:
    """Play the wanted games that are not stored yet; each episode is safe once yielded.

    Args:
        wanted: every (game id, seed), over all shards.
        play: given those missing here, yields their episodes in any order.
        source: which games these are; JSON.
        config: player and everything else that changes the episodes; JSON.
        notes: what else is told of them, such as where they lie; JSON.

    Raises:
        UserError: the folder is of another config or in use, or `play` omitted a game.
    """
    # The store knows units by text alone; `play` wants games and seeds back.
    names = {episode_key(*w): w for w in wanted}

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        for episode in play([names[key] for key in keys]):
            counts = {"won": int(episode.success), "turns": len(episode.turns)}
            key = episode_key(episode.game_id, episode.seed)
            yield key, [episode_to_record(episode)], counts

    spec = DatasetSpec(
        EPISODES, EPISODE_LAYOUT, source=source, config=config, seed=seed, notes=notes or {}
    )
    return write_dataset(out, list(names), make, spec, shard)


def read_episodes(folder: str | os.PathLike) -> EpisodeReader:
    """Stored episodes, shard by shard, each in the order of their names (`episode_key`).

    Raises:
        UserError: the dataset is missing, incomplete, cut short or changed.
    """
    return EpisodeReader(read_dataset(folder, SPLIT, EPISODES), folder)
