"""What is between two stages: episodes, memories, results, and the datasets that hold them."""

from duomem_jax.records.episodes import Episode, Turn
from duomem_jax.records.memories import Memory
from duomem_jax.records.played import read_episodes
from duomem_jax.records.results import Result, collect_results
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.talked import read_dialogues

__all__ = [
    "Episode",
    "Memory",
    "Result",
    "Turn",
    "collect_results",
    "read_dataset",
    "read_dialogues",
    "read_episodes",
]
