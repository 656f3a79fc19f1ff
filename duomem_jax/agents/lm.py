"""A language model as a player: chat turns, retrieved guidelines, a cache that keeps both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duomem_jax.agents.opening import Opening
from duomem_jax.agents.policy import Move, Usage, sampling_seed
from duomem_jax.decode.generator import Generator
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.text.turns import next_message, parse_action
from duomem_jax.worlds.base import Task


@dataclass
class _Talk:
    """One game's conversation so far, in counts."""

    first: list[int] | None  # ids of the first user message, until they are read
    memory_ids: tuple[str, ...]
    prompt_tokens: int = 0
    new_tokens: int = 0


class LMPolicy:
    """Plays with a `Generator`; each slot is one of its rows.

    The first user message holds the guidelines of the k best memories, never the game's own,
    and the first observation; every later one the next observation.
    """

    def __init__(
        self,
        name: str,
        tokenizer: Any,
        generator: Generator,
        *,
        system: str = "",
        bank: MemoryBank | None = None,
        k: int = 0,
    ):
        """Set up without games.

        Args:
            name: who plays.
            tokenizer: the model's, with a chat template; its end-of-turn token must be the
                generator's `eos_id`.
            generator: as many rows as there will be slots.
            system: content of the system message; none when empty.
            bank: where guidelines come from.
            k: memories shown.
        """
        self.name = name
        self._tokenizer, self._chat = tokenizer, chat_tokens(tokenizer)
        self._generator, self._system = generator, system
        self._opening = Opening(bank, k)
        self._talks: dict[int, _Talk] = {}

    @property
    def setup_seconds(self) -> float:
        """Seconds spent on compiling."""
        return self._generator.compile_seconds

    def start(self, slot: int, task: Task, first_observation: str, seed: int) -> None:
        """See `Policy`."""
        message, memory_ids = self._opening(task, first_observation)
        self._talks[slot] = _Talk(self._chat.first(message, self._system), memory_ids)
        self._generator.reset(slot, seed=sampling_seed(seed, task.id))

    def act(self, observations: Mapping[int, str]) -> dict[int, Move | None]:
        """See `Policy`."""
        new, moves = {}, dict[int, Move | None]()
        for slot, seen in observations.items():
            talk = self._talks[slot]
            ids = talk.first or self._chat.next(next_message(seen))
            talk.first = None
            if self._generator.fits(slot, len(ids)):
                new[slot] = ids
                talk.prompt_tokens += len(ids)
            else:
                moves[slot] = None
        for slot, reply in self._generator.extend(new).items():
            self._talks[slot].new_tokens += len(reply)
            moves[slot] = parse_action(self._tokenizer.decode(reply, skip_special_tokens=True))
        return moves

    def stop(self, slot: int) -> Usage:
        """See `Policy`."""
        talk = self._talks.pop(slot)
        return Usage(talk.prompt_tokens, talk.new_tokens, talk.memory_ids)
