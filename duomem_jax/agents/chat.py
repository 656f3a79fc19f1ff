"""A language model as a player: chat turns, with retrieved guidelines before the first one."""

from collections.abc import Mapping
from dataclasses import dataclass

from duomem_jax.agents.policy import GameUsage, Move
from duomem_jax.base.sample import derived_seed
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.show import show
from duomem_jax.speak.protocol import Conversations, Reply
from duomem_jax.text.turns import GameChat, parse_action
from duomem_jax.worlds.base import Task


@dataclass
class _Talk:
    """One game's conversation so far, and what it cost."""

    chat: GameChat
    memory_ids: tuple[str, ...]
    prompt_tokens: int = 0
    new_tokens: int = 0

    def take(self, reply: Reply) -> Move:
        """The move that a reply makes; the chat remembers it as training would show it."""
        move = parse_action(reply.text, cut=reply.cut)
        self.chat.say(*move)
        # A reply's prompt is the whole conversation; ours is what the player did not write.
        # The maximum, since a server that does not report its counts gives 0.
        self.prompt_tokens = max(self.prompt_tokens, reply.prompt_tokens - self.new_tokens)
        self.new_tokens += reply.new_tokens
        return move


class ChatPolicy:
    """Plays through `Conversations`, of a model here or behind a server.

    The first user message holds the guidelines of the k best memories, never the game's own,
    and the first observation; every later one the next observation.
    """

    def __init__(
        self,
        name: str,
        conversations: Conversations,
        *,
        system: str = "",
        bank: MemoryBank | None = None,
        k: int = 0,
    ):
        """Set up without games.

        Args:
            name: who plays.
            conversations: as many slots as there will be games at once.
            system: content of the system message; none when empty.
            bank: where guidelines come from.
            k: memories shown.
        """
        self.name = name
        self._conversations, self._system = conversations, system
        self._bank, self._k = bank, k
        self._talks: dict[int, _Talk] = {}

    @property
    def slots(self) -> int:
        """How many games at once."""
        return self._conversations.slots

    @property
    def setup_seconds(self) -> float:
        """Seconds spent on compiling."""
        return self._conversations.setup_seconds

    def start(self, slot: int, task: Task, first_observation: str, seed: int) -> None:
        """Begin a game's conversation with what its player is shown."""
        # The game's id keeps out what was learnt from this very game.
        shown = show(self._bank, self._k, task.text, task.id)
        chat = GameChat(system=self._system, guidelines=shown.text)
        # From the game, not the slot: what is played beside it must not change what is sampled.
        self._conversations.start(slot, derived_seed(seed, task.id))
        self._talks[slot] = _Talk(chat, shown.memory_ids)

    def act(self, observations: Mapping[int, str]) -> dict[int, Move | None]:
        """Ask for the replies of all named slots at once."""
        # All observations first: one call then answers every game of the round side by side.
        for slot, seen in observations.items():
            self._talks[slot].chat.see(seen)
        chats = {slot: self._talks[slot].chat.messages for slot in observations}
        replies = self._conversations.reply(chats)
        return {
            slot: None if reply is None else self._talks[slot].take(reply)
            for slot, reply in replies.items()
        }

    def stop(self, slot: int) -> GameUsage:
        """End a game's conversation."""
        self._conversations.stop(slot)
        talk = self._talks.pop(slot)
        return GameUsage(talk.prompt_tokens, talk.new_tokens, talk.memory_ids)
