"""The expert plays a game, or follows a procedure that is not the game's own."""

import random
import re

from duomem_jax.records.episodes import Move, Turn
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.expert.player import Expert
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.procedure import Procedure

MAX_STEPS = 50


def _slip(rng: random.Random, world: FastEngine, expert: Expert, thought: str) -> Move:
    """A mistake that small models make, drawn at random."""
    action = expert.proposed
    here = expert.beliefs.here
    # What stands in the list several times is drawn more often.
    # The Thought stays that of the expert: the action does not follow from it.
    slips = [(thought, c) for c in ("look", "inventory")]
    named = re.search(r"(\w+) (\d+)", action)
    if named:  # another number of the right kind
        wrong = f"{named[1]} {max(1, int(named[2]) + rng.choice((-2, -1, 1, 2)))}"
        slips += [(thought.replace(named[0], wrong), action.replace(named[0], wrong))] * 3
    wanted = expert.wanted
    if here and wanted and action.startswith("go to "):  # seeing what is not there
        name = f"{wanted} {rng.choice((1, 1, 1, 2, 2, 3))}"
        false = f"I look for a {wanted}. I see {name}. Take it."
        slips += [(false, f"take {name} from {here}")] * 4
    if here:
        slips.append(("It is closed. Open it.", f"open {here}"))
    ways = [c for c in world.admissible_commands() if c.startswith("go to ")]
    # Admissible, unlike the others mostly: a detour, not a refusal.
    astray = rng.choice(ways)
    slips.append((f"Go to {astray[6:]}.", astray))
    return Move(*rng.choice(slips))


def play_procedure(
    game: Game,
    expert: Expert,
    rng: random.Random,
    *,
    slip_rate: float = 0.0,
    sentence: str | None = None,
    procedure: Procedure | None = None,
) -> tuple[Turn, ...] | None:
    """Let the expert play, slipping at times.

    Args:
        game: what is played.
        expert: who plays.
        rng: source of the slips.
        slip_rate: share of turns in which something else is done than the expert proposed.
        sentence: task sentence to show instead of the game's own.
        procedure: what the expert does instead of what the sentence asks for.

    Returns:
        What it did, or None if it did not get there in time.
    """
    world = FastEngine(game)
    observation = world.reset()
    if sentence is not None:
        # The room is the game's; only the sentence that states its task is another one's.
        observation = observation.replace(game.text, sentence)
    expert.reset(observation, procedure)
    turns: list[Turn] = []
    done = False
    while len(turns) < MAX_STEPS and not done:
        move = expert.act(observation)
        slips = rng.random() < slip_rate
        if slips:
            move = _slip(rng, world, expert, move.thought)
        # It stays in what is read, so that the way out of it can be learnt.
        turns.append(Turn(observation, *move, learnt=not slips))
        observation, won = world.step(move.action)
        refused = observation.startswith("Nothing happens") and move.action == expert.proposed
        # What was really done, slip or not: `act` would take in what the expert proposed.
        expert.observe(move.action, observation)
        # A made-up procedure has no goal that the world could check: it is done when the expert
        # has gone through it, and one that the world refuses is no example.
        if procedure is not None and refused:
            return None
        done = won if procedure is None else expert.done
    return tuple(turns) if done else None
