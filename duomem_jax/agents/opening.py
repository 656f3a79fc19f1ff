"""How every language model's game begins: guidelines, then the first observation."""

from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.guidelines import guidelines_text
from duomem_jax.text.turns import first_message
from duomem_jax.worlds.base import Task


class Opening:
    """First user messages with the k best memories, never the game's own.

    Args:
        bank: where guidelines come from; None: there are none.
        k: memories shown.
    """

    def __init__(self, bank: MemoryBank | None = None, k: int = 0):
        self._bank, self._k = bank, k

    def __call__(self, task: Task, first_observation: str) -> tuple[str, tuple[str, ...]]:
        """(content of the first user message, ids of the memories in it)."""
        memories = []
        if self._bank is not None:
            memories = self._bank.retrieve(task.text, self._k, exclude_game_id=task.id)
        text = first_message(first_observation, guidelines_text(memories))
        return text, tuple(m.id for m in memories)
