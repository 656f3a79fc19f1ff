"""What plays: many games in numbered slots, one move each per call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from duomem_jax.speak.protocol import SLOTS
from duomem_jax.worlds.base import Move, RulePlayer, Task


@dataclass(frozen=True)
class GameUsage:
    """What one game cost its player.

    Attributes:
        prompt_tokens: tokens we appended to the conversation.
        new_tokens: tokens the player wrote.
        memory_ids: memories it was shown.
    """

    prompt_tokens: int = 0
    new_tokens: int = 0
    memory_ids: tuple[str, ...] = ()


class Policy(Protocol):
    """A player of many games.

    Attributes:
        name: who plays, as episodes record it.
    """

    name: str

    @property
    def slots(self) -> int:
        """How many games at once."""
        ...

    @property
    def setup_seconds(self) -> float:
        """One-off work so far (compiling), which no game is charged for."""
        ...

    def start(self, slot: int, task: Task, first_observation: str, seed: int) -> None:
        """Begin a game in an empty slot; what is random may depend on (seed, task) only."""
        ...

    def act(self, observations: Mapping[int, str]) -> dict[int, Move | None]:
        """The move of each named slot after what it sees now, the first observation included.

        None: the conversation no longer fits, the game is over for this player.
        """
        ...

    def stop(self, slot: int) -> GameUsage:
        """End the game in a slot, which is empty then."""
        ...


class EachAlone:
    """A policy of independent players, one for each slot; they read and write no tokens."""

    setup_seconds = 0.0  # nothing to compile

    def __init__(
        self, name: str, make_player: Callable[[Task, int], RulePlayer], slots: int = SLOTS
    ):
        """Play under `name` with `make_player(task, seed)` in each of `slots`."""
        self.name, self.slots = name, slots
        self._make_player = make_player
        self._players: dict[int, RulePlayer] = {}

    def start(self, slot: int, task: Task, first_observation: str, seed: int) -> None:
        """Make a player and tell it how the game begins."""
        player = self._players[slot] = self._make_player(task, seed)
        player.reset(first_observation)

    def act(self, observations: Mapping[int, str]) -> dict[int, Move | None]:
        """Ask each player for its move."""
        return {slot: self._players[slot].act(seen) for slot, seen in observations.items()}

    def stop(self, slot: int) -> GameUsage:
        """Drop the player of an ended game; nobody counted tokens."""
        del self._players[slot]
        return GameUsage()
