"""How memories are shown: before the first observation, as MemP does it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from duomem_jax.memory.bank import MemoryBank
from duomem_jax.records.episodes import Episode, episode_key
from duomem_jax.records.lessons import Advice
from duomem_jax.records.memories import Memory

GUIDELINES_HEADER = "Here are some guidelines of how to solve the similar task:\n"


@dataclass(frozen=True)
class Shown:
    """What a player is shown of a bank before one game.

    Attributes:
        text: what stands before the first observation; "" for nothing.
        memory_ids: the memories in it.
    """

    text: str = ""
    memory_ids: tuple[str, ...] = ()


def show(bank: MemoryBank | None, k: int, task: str, game_id: str) -> Shown:
    """What is shown before one game; see `show_many`."""
    return show_many(bank, k, [task], [game_id])[0]


def show_many(
    bank: MemoryBank | None, k: int, tasks: Sequence[str], game_ids: Sequence[str]
) -> list[Shown]:
    """What is shown before each of several games.

    Args:
        bank: where memories come from; None: there are none.
        k: memories shown, the best ones for the task.
        tasks: text of each game's task.
        game_ids: the games; nothing learnt from a game is shown in it.
    """
    if bank is None:
        return [Shown() for _ in tasks]
    # All at once: tasks repeat, and an embedder is asked once for each distinct text.
    found = bank.retrieve_many(tasks, k, exclude_game_ids=game_ids)
    return [Shown(guidelines_text(ms), tuple(m.id for m in ms)) for ms in found]


def guidelines_text(memories: Sequence[Memory]) -> str:
    """Text of some memories; "" for none."""
    return render_guidelines([Advice(m.key, m.text) for m in memories])


def render_guidelines(advice: Sequence[Advice]) -> str:
    """Text of some advice; "" for none.

    Source: MemP, arXiv 2508.06433 (zjunlp/MemP, run_memp_offline.py).
    """
    told = [{"task_name": task, "guidelines": script} for task, script in advice]
    return GUIDELINES_HEADER + json.dumps(told, ensure_ascii=False) if told else ""


class RetrievedGuidelines:
    """Guidelines for `build_examples`: what is shown before a share of the episodes.

    Whether an episode gets any depends on its name and the seed alone, not on its neighbours.
    """

    def __init__(self, bank: MemoryBank, *, k: int, share: float, seed: int) -> None:
        self._bank, self._k, self._share, self._seed = bank, k, share, seed

    @property
    def config(self) -> dict[str, Any]:
        """Identity of what it returns."""
        own = {"k": self._k, "share": self._share, "seed": self._seed}
        return self._bank.config | own

    def __call__(self, episodes: list[Episode]) -> list[str]:
        """One text per episode, "" for those without memories."""
        # Only these are looked up: the others' tasks need no embedding.
        chosen = [i for i, episode in enumerate(episodes) if self._gets_some(episode)]
        tasks = [episodes[i].task for i in chosen]
        found = show_many(self._bank, self._k, tasks, [episodes[i].game_id for i in chosen])
        texts = [""] * len(episodes)
        for i, shown in zip(chosen, found, strict=True):
            texts[i] = shown.text
        return texts

    def _gets_some(self, episode: Episode) -> bool:
        # A hash instead of a generator's next number, which would depend on the episodes before it.
        name = f"{self._seed}\0{episode_key(episode.game_id, episode.seed)}"
        number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
        return number / 2**64 < self._share
