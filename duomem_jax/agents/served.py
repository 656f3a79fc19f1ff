"""A served model as a player: one chat completion a move, all games of a round at once."""

from collections.abc import Mapping
from dataclasses import dataclass

from duomem_jax.agents.opening import Opening
from duomem_jax.agents.policy import Move, Usage, sampling_seed
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.speak.served.chat import Message, Reply, chat_request
from duomem_jax.speak.served.model import ServedModel
from duomem_jax.text.turns import next_message, parse_action, reply
from duomem_jax.worlds.base import Task


@dataclass
class _Talk:
    """One game's conversation so far.

    Its messages are what `episode_messages` makes of the game's turns, as training shows them.
    """

    messages: list[Message]
    memory_ids: tuple[str, ...]
    seed: int
    prompt_tokens: int = 0
    new_tokens: int = 0

    def hear(self, observation: str) -> None:
        if self.messages[-1]["role"] == "assistant":
            self.messages.append({"role": "user", "content": next_message(observation)})

    def take(self, answer: Reply) -> Move:
        move = _move(answer)
        self.messages.append({"role": "assistant", "content": reply(*move)})
        # The server reads the whole conversation each time; ours is what the player did not write.
        self.prompt_tokens = max(self.prompt_tokens, answer.prompt_tokens - self.new_tokens)
        self.new_tokens += answer.new_tokens
        return move


class ServedPolicy:
    """Plays through a `ServedModel`; the same conversation as `LMPolicy` has.

    A game that was interrupted is played again from its start: the model's stored answers bring it
    to where it was, since the games are deterministic.
    """

    setup_seconds = 0.0  # nothing to compile

    def __init__(
        self,
        model: ServedModel,
        *,
        system: str = "",
        bank: MemoryBank | None = None,
        k: int = 0,
        max_new: int = 128,
        temperature: float = 0.0,
    ):
        """Set up without games.

        Args:
            model: who plays.
            system: content of the system message; none when empty.
            bank: where guidelines come from.
            k: memories shown.
            max_new: tokens a reply may have.
            temperature: 0: the likeliest reply.
        """
        self.name = model.name
        self._model, self._opening, self._system = model, Opening(bank, k), system
        self._max_new, self._temperature = max_new, temperature
        self._talks: dict[int, _Talk] = {}

    def start(self, slot: int, task: Task, first_observation: str, seed: int) -> None:
        """See `Policy`."""
        content, memory_ids = self._opening(task, first_observation)
        messages = [{"role": "system", "content": self._system}] if self._system else []
        messages.append({"role": "user", "content": content})
        self._talks[slot] = _Talk(messages, memory_ids, sampling_seed(seed, task.id))

    def act(self, observations: Mapping[int, str]) -> dict[int, Move | None]:
        """See `Policy`."""
        talks = [self._talks[slot] for slot in observations]
        for talk, seen in zip(talks, observations.values(), strict=True):
            talk.hear(seen)
        answers = self._model.ask(
            chat_request(
                self.name,
                talk.messages,
                max_tokens=self._max_new,
                temperature=self._temperature,
                seed=talk.seed,
            )
            for talk in talks
        )
        return {
            slot: None if answer is None else talk.take(answer)
            for slot, talk, answer in zip(observations, talks, answers, strict=True)
        }

    def stop(self, slot: int) -> Usage:
        """See `Policy`."""
        talk = self._talks.pop(slot)
        return Usage(talk.prompt_tokens, talk.new_tokens, talk.memory_ids)


def _move(answer: Reply) -> Move:
    thought, action = parse_action(answer.text)
    # Cut off within its action, a reply may name what it did not mean.
    return thought, "" if answer.cut and answer.text.endswith(action) else action
