"""Play games in slots: a finished game leaves, the next waiting one enters."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata

from duomem_jax.agents.policy import Move, Policy, Usage
from duomem_jax.records.episodes import Episode, Turn
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.vector import VectorEnv

_PACKAGE = {"fast": "duomem-jax", "textworld": "textworld"}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a game ended and what it cost, beside its episode.

    Attributes:
        usage: tokens and memories.
        seconds: the game's share of the wall time. Each round of moves is shared evenly among
            the games then playing, so the games' seconds add up to the run's, one-off work
            like compiling left out; with one slot it is how long the game took.
        ended: "won", "steps" (the limit) or "context" (the conversation no longer fitted).
    """

    usage: Usage
    seconds: float
    ended: str


@dataclasses.dataclass
class _Seat:
    """A game being played in a slot."""

    game: Game
    observation: str
    turns: list[Turn] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    ended: str = ""

    def play(self, move: Move, observation: str, won: bool, max_steps: int) -> None:
        self.turns.append(Turn(self.observation, *move))
        self.observation = observation
        if won:
            self.ended = "won"
        elif len(self.turns) == max_steps:
            self.ended = "steps"


def play_games(
    games: Iterable[Game],
    policy: Policy,
    *,
    slots: int,
    max_steps: int = 50,
    engine: str = "fast",
    seed: int = 0,
    on_episode: Callable[[Episode, Outcome], None] | None = None,
) -> Iterator[Episode]:
    """Play every game once; episodes come in the order in which games end.

    What happens in a game depends on neither `slots` nor the other games.

    Args:
        games: read one by one, as slots become free.
        policy: who plays; all its slots are empty before and after.
        slots: games played at once.
        max_steps: commands after which a game is lost.
        engine: one of `envs.ENGINES`.
        seed: of the policy's choices.
        on_episode: also told what each game cost.

    Raises:
        UserError: a game cannot be read or played.
    """
    waiting, envs = iter(games), VectorEnv(engine)
    seats: dict[int, _Seat] = {}
    label = _engine_label(engine)
    try:
        while True:
            start, setup = time.monotonic(), policy.setup_seconds
            for slot in range(slots):
                if slot not in seats and (game := next(waiting, None)) is not None:
                    seats[slot] = _Seat(game, envs.start(slot, game))
                    policy.start(slot, game, seats[slot].observation, seed)
            if not seats:
                return
            _round(seats, policy, envs, max_steps)
            passed = time.monotonic() - start - (policy.setup_seconds - setup)
            for seat in seats.values():
                seat.seconds += passed / len(seats)
            for slot in [slot for slot, seat in seats.items() if seat.ended]:
                seat, usage = seats.pop(slot), policy.stop(slot)
                envs.stop(slot)
                episode = _episode(seat, usage, policy.name, seed, label)
                if on_episode is not None:
                    on_episode(episode, Outcome(usage, seat.seconds, seat.ended))
                yield episode
    finally:
        for slot in seats:  # left when the caller stops early
            policy.stop(slot)


def _round(seats: dict[int, _Seat], policy: Policy, envs: VectorEnv, max_steps: int) -> None:
    """One move in every game."""
    moves = policy.act({slot: seat.observation for slot, seat in seats.items()})
    answers = envs.step({slot: move[1] for slot, move in moves.items() if move is not None})
    for slot, move in moves.items():
        if move is None:
            seats[slot].ended = "context"
        else:
            seats[slot].play(move, *answers[slot], max_steps)


def _episode(seat: _Seat, usage: Usage, player: str, seed: int, engine: str) -> Episode:
    return Episode(
        game_id=seat.game.id,
        task=seat.game.task,
        task_type=seat.game.task_type,
        turns=tuple(seat.turns),
        final_observation=seat.observation,
        success=seat.ended == "won",
        player=player,
        seed=seed,
        engine=engine,
        memory_ids=usage.memory_ids,
    )


def _engine_label(engine: str) -> str:
    """The engine and the version of the package it is from."""
    return f"{engine} {metadata.version(_PACKAGE[engine])}" if engine in _PACKAGE else engine
