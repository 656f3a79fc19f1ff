"""Endless new games, each a function of the seed and its own number."""

import random
from collections.abc import Iterator

from duomem_jax.worlds.household.engine.names import visible_names
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.generate.odds import Weighted, draw, room_odds, weighted
from duomem_jax.worlds.household.generate.plan import walkthrough
from duomem_jax.worlds.household.generate.problem import problem_text
from duomem_jax.worlds.household.generate.room import Furnisher
from duomem_jax.worlds.household.generate.statistics import ROOMS
from duomem_jax.worlds.household.generate.task import choose_task, draw_needs


def generate_games(n: int, seed: int) -> Iterator[Game]:
    """Make the first `n` games of a seed; game i depends on `seed` and i alone.

    Rooms and task types come as often as in the real training games; every game furnishes its
    room again, by the counts in `statistics.json`.

    Args:
        n: how many.
        seed: other seeds give other games.
    """
    kinds = _joint_odds()
    return (_game(seed, i, kinds) for i in range(n))


def _joint_odds() -> Weighted:
    """(room, task type) pairs by how many real games have them."""
    return weighted(
        {
            (room, task_type): sum(pairs.weights)
            for room in ROOMS
            for task_type, pairs in room_odds(room).tasks.items()
        }
    )


def _game(seed: int, i: int, kinds: Weighted) -> Game:
    # Of its own for every game: none depends on how many were made before.
    rng = random.Random(f"{seed}/{i}")
    room_type, task_type = draw(rng, kinds)
    odds = room_odds(room_type)
    task = choose_task(rng, odds, task_type)
    room = None
    while room is None:  # rarely more than once: a needed object found no place
        room = Furnisher(rng, odds).room(draw_needs(rng, task))
    # Seed and number are in the id, so that games of two seeds never share one.
    trial = f"trial_T{seed:08d}_{i // 1_000_000:06d}_{i % 1_000_000:06d}"
    ids = [r.id for r in room.receptacles] + [t.id for t in room.things]
    # The engines number things by their ids in lower case.
    by_lower = visible_names(i.lower() for i in ids)
    names = {i: by_lower[i.lower()] for i in ids}
    return Game(
        id=f"{task_type}-{task.kind}-None-{task.target}-{room.scene}/{trial}",
        text=task.words,
        kind=task_type,
        pddl_problem=problem_text(trial, task, room),
        walkthrough=walkthrough(rng, task, room, names),
    )
