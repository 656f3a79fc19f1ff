"""Play games in slots: a finished game leaves, the next waiting one enters."""

import dataclasses
import time
from collections.abc import Iterable, Iterator
from typing import Literal

from duomem_jax.agents.policy import GameUsage, Move, Policy
from duomem_jax.records.episodes import Episode, Turn, is_success
from duomem_jax.worlds.base import Step, Task, World
from duomem_jax.worlds.vector import VectorEnv

Ending = Literal["won", "lost", "steps", "context"]


@dataclasses.dataclass(frozen=True)
class Played:
    """A finished game: its episode, and what it cost.

    Attributes:
        usage: tokens and memories.
        seconds: the game's share of the wall time. Each round of moves is shared evenly among
            the games then playing, so the games' seconds add up to the run's, one-off work
            like compiling omitted; with one slot it is how long the game took.
        ended: "won", "lost" (the world ended it below the full score), "steps" (the limit) or
            "context" (the conversation no longer fitted).
    """

    task: Task
    episode: Episode
    usage: GameUsage
    seconds: float
    ended: Ending


@dataclasses.dataclass
class _Seat:
    """A game being played in a slot."""

    task: Task
    observation: str
    turns: list[Turn] = dataclasses.field(default_factory=list)
    score: float = 0.0
    seconds: float = 0.0
    ended: Ending | None = None

    def play(self, move: Move, step: Step, max_steps: int) -> None:
        self.turns.append(Turn(self.observation, *move))
        self.observation, self.score = step.observation, step.score
        if step.done or len(self.turns) == max_steps:
            self.stop("lost" if step.done else "steps")

    def stop(self, why: Ending) -> None:
        """End the game; a full score counts as won, even where the world would go on."""
        self.ended = "won" if is_success(self.score) else why


def play_games(
    world: World,
    tasks: Iterable[Task],
    policy: Policy,
    *,
    slots: int,
    max_steps: int = 50,
    seed: int = 0,
) -> Iterator[Played]:
    """Play every task once; games come in the order in which they end.

    What happens in a game depends on neither `slots` nor the other games.

    Args:
        world: where the tasks are from.
        tasks: read one by one, as slots become free.
        policy: who plays; all its slots are empty before and after.
        slots: games played at once.
        max_steps: commands after which a game is over.
        seed: of the policy's choices.

    Raises:
        UserError: a task cannot be read or played.
    """
    waiting, envs = iter(tasks), VectorEnv(world)
    seats: dict[int, _Seat] = {}
    try:
        while True:
            # Compiling falls into whichever round comes first; no game is to pay for it.
            start, setup = time.monotonic(), policy.setup_seconds
            # Free slots are filled before each round: the model's batch stays full, and tasks are
            # read only as they are needed.
            for slot in range(slots):
                if slot not in seats and (task := next(waiting, None)) is not None:
                    seat = _Seat(task, envs.start(slot, task))
                    policy.start(slot, task, seat.observation, seed)
                    # Only now: a slot that the policy has refused must not be stopped below.
                    seats[slot] = seat
            if not seats:
                return
            _round(seats, policy, envs, max_steps)
            passed = time.monotonic() - start - (policy.setup_seconds - setup)
            # Shared before ended games leave, since they took part in this round.
            for seat in seats.values():
                seat.seconds += passed / len(seats)
            # A list, since the dictionary changes under the loop.
            for slot, seat in [item for item in seats.items() if item[1].ended]:
                # Out of `seats` before the yield: a caller that stops there must not have it
                # stopped twice.
                del seats[slot]
                usage = policy.stop(slot)
                envs.stop(slot)
                yield _played(world, seat, usage, policy.name, seed)
    finally:
        for slot in seats:  # left when the caller stops early
            policy.stop(slot)


def _round(seats: dict[int, _Seat], policy: Policy, envs: VectorEnv, max_steps: int) -> None:
    """One move in every game."""
    moves = policy.act({slot: seat.observation for slot, seat in seats.items()})
    # The world is given the command alone; the thought stays in the episode.
    answers = envs.step({slot: move.action for slot, move in moves.items() if move is not None})
    for slot, move in moves.items():
        if move is None:
            seats[slot].stop("context")
        else:
            seats[slot].play(move, answers[slot], max_steps)


def _played(world: World, seat: _Seat, usage: GameUsage, player: str, seed: int) -> Played:
    episode = Episode(
        game_id=seat.task.id,
        task=seat.task.text,
        kind=seat.task.kind,
        turns=tuple(seat.turns),
        final_observation=seat.observation,
        score=seat.score,
        player=player,
        seed=seed,
        world=world.name,
        version=world.version,
        memory_ids=usage.memory_ids,
    )
    assert seat.ended is not None
    return Played(seat.task, episode, usage, seat.seconds, seat.ended)
