"""Endless new games, each a function of the seed and its own number."""

import random
from collections.abc import Collection, Iterator

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.names import visible_names
from duomem_jax.worlds.household.game import TASK_TYPES, Game
from duomem_jax.worlds.household.generate.odds import Row, draw, room_odds, row_of
from duomem_jax.worlds.household.generate.plan import walkthrough
from duomem_jax.worlds.household.generate.problem import problem_text
from duomem_jax.worlds.household.generate.room import Furnisher
from duomem_jax.worlds.household.generate.statistics import ROOMS
from duomem_jax.worlds.household.generate.task import choose_task, draw_needs


def generate_games(
    n: int,
    seed: int,
    *,
    rooms: Collection[str] | None = None,
    task_types: Collection[str] | None = None,
    start: int = 0,
) -> Iterator[Game]:
    """Make games `start` to `start + n`; game i depends on `seed` and i alone.

    Rooms and task types come as often as in the real training games; rooms are furnished
    anew in each game, by the counts in `statistics.json`.

    Args:
        n: how many.
        seed: other seeds give other games.
        rooms: only these of `ROOMS`; all of them when None.
        task_types: only these of `TASK_TYPES`; all of them when None.
        start: number of the first game, to make one part of a longer series.

    Raises:
        UserError: an unknown room or task type, or no real game joins the two.
    """
    kinds = _joint_odds(rooms, task_types)
    return (_game(seed, i, kinds) for i in range(start, start + n))


def _joint_odds(rooms: Collection[str] | None, task_types: Collection[str] | None) -> Row:
    """(room, task type) pairs that were asked for and exist, with their counts."""
    for word, asked, known in (("room", rooms, ROOMS), ("task type", task_types, TASK_TYPES)):
        if unknown := sorted(set(asked or ()) - set(known)):
            raise UserError(f"unknown {word} {unknown[0]!r}; choose from {', '.join(known)}")
    odds = {
        (room, task_type): sum(weights)
        for room in ROOMS
        for task_type, (_, weights) in room_odds(room).tasks.items()
        if (rooms is None or room in rooms) and (task_types is None or task_type in task_types)
    }
    if not odds:
        raise UserError(
            f"no game of task types {sorted(task_types or TASK_TYPES)} exists in rooms "
            f"{sorted(rooms or ROOMS)}; add a room or a task type"
        )
    return row_of(odds)


def _game(seed: int, i: int, kinds: Row) -> Game:
    rng = random.Random(f"{seed}/{i}")
    room_type, task_type = draw(rng, kinds)
    odds = room_odds(room_type)
    task = choose_task(rng, odds, task_type)
    room = None
    while room is None:  # seldom more than once: a needed object found no place
        room = Furnisher(rng, odds).room(draw_needs(rng, task))
    trial = f"trial_T{seed:08d}_{i // 1_000_000:06d}_{i % 1_000_000:06d}"
    ids = [t.id for t in room.receptacles] + [t.id for t in room.things]
    by_lower = visible_names(i.lower() for i in ids)
    names = {i: by_lower[i.lower()] for i in ids}
    return Game(
        id=f"{task_type}-{task.kind}-None-{task.target}-{room.scene}/{trial}",
        text=task.words,
        kind=task_type,
        pddl_problem=problem_text(trial, task, room),
        walkthrough=walkthrough(rng, task, room, names),
    )
