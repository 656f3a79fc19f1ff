"""Which memories stand before which episode when examples are made."""

import hashlib
from collections.abc import Sequence
from typing import Any

from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.prompt import render_guidelines
from duomem_jax.records.episodes import Episode, episode_key
from duomem_jax.records.memories import Memory


def guidelines_text(memories: Sequence[Memory]) -> str:
    """What an agent is shown of its memories; "" for none."""
    return render_guidelines([{"task_name": m.key, "guidelines": m.text} for m in memories])


class RetrievedGuidelines:
    """Guidelines for `build_examples`: the k best memories for a share of the episodes.

    Never memories of the episode's own game. Whether an episode gets any depends on its name
    and the seed alone, not on its neighbours.
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
        chosen = [e for e in episodes if self._gets_some(e)]
        found = self._bank.retrieve_many(
            [e.task for e in chosen], self._k, exclude_game_ids=[e.game_id for e in chosen]
        )
        texts = {
            episode_key(e.game_id, e.seed): guidelines_text(memories)
            for e, memories in zip(chosen, found, strict=True)
        }
        return [texts.get(episode_key(e.game_id, e.seed), "") for e in episodes]

    def _gets_some(self, episode: Episode) -> bool:
        name = f"{self._seed}\0{episode_key(episode.game_id, episode.seed)}"
        number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
        return number / 2**64 < self._share
