"""The statistics, prepared for drawing."""

import functools
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from duomem_jax.worlds.household.generate.statistics import (
    ALONE,
    ASKED,
    BESIDE,
    needed_kinds,
    shipped,
)


class Weighted(NamedTuple):
    """Outcomes to draw from; `weights` need not add up to one."""

    outcomes: list[Any]
    weights: list[float]


@dataclass(frozen=True)
class RoomOdds:
    """Odds of one room type.

    Attributes:
        scenes: scene numbers.
        tasks: per task type, (target kind, object kind).
        receptacles: per kind, how many there are where no task asks for it.
        objects: the same for objects.
        openable: share of a receptacle kind that can be opened.
        shared: per kind, chance to be reached from the place of a receptacle of another kind.
        places: per object kind, where it lies; a weight is per room that has such a place.
    """

    scenes: list[int]
    tasks: dict[str, Weighted]
    receptacles: dict[str, Weighted]
    objects: dict[str, Weighted]
    openable: dict[str, float]
    shared: dict[str, dict[str, float]]
    places: dict[str, Weighted]


@functools.cache
def room_odds(room: str) -> RoomOdds:
    """Odds of a room type, from the shipped statistics."""
    table = shipped()["rooms"][room]
    games = sum(table["scenes"].values())
    tasks = {
        task_type: {(target, kind): n for target, row in by.items() for kind, n in row.items()}
        for task_type, by in table["tasks"].items()
    }
    # Where a task asks for a kind it is there for sure: such games do not count for its odds.
    asked = _asked(tasks)
    receptacles = {
        k: _numbers(row, games - asked.receptacles[k]) for k, row in table["receptacles"].items()
    }
    objects = {k: _numbers(row, games - asked.objects[k]) for k, row in table["objects"].items()}
    rooms_with = {k: sum(row.values()) for k, row in table["receptacles"].items()}
    return RoomOdds(
        scenes=[int(scene) for scene in table["scenes"]],
        tasks={task_type: weighted(pairs) for task_type, pairs in tasks.items()},
        receptacles=receptacles,
        objects=objects,
        openable={k: row.get("yes", 0) / sum(row.values()) for k, row in table["openable"].items()},
        shared={k: _chances(k, row, rooms_with[k]) for k, row in table["shared"].items()},
        places={k: weighted(_per_room(row, receptacles)) for k, row in table["places"].items()},
    )


def draw(rng: random.Random, row: Weighted) -> Any:
    """One outcome of `row`."""
    return rng.choices(*row)[0]


def draw_at_least(rng: random.Random, row: Weighted, least: int) -> int:
    """A number of `row` no lower than `least`; `least` itself when none was seen."""
    # Drawn among the numbers that are enough: raising a low one would make `least` too common.
    enough = {n: weight for n, weight in zip(*row, strict=True) if n >= least and weight}
    return draw(rng, weighted(enough)) if enough else least


def weighted(weights: dict[Any, float]) -> Weighted:
    """The outcomes with these weights."""
    return Weighted(list(weights), list(weights.values()))


class _Asked(NamedTuple):
    """In how many games the task asks for a kind."""

    receptacles: Counter[str]
    objects: Counter[str]


def _asked(tasks: dict[str, dict[tuple[str, str], int]]) -> _Asked:
    asked = _Asked(Counter(), Counter())
    for task_type, pairs in tasks.items():
        for (target, kind), n in pairs.items():
            needed = needed_kinds(task_type, kind, target)
            asked.receptacles.update(dict.fromkeys(needed.receptacles, n))
            asked.objects.update(dict.fromkeys(needed.objects, n))
    return asked


def _numbers(row: dict[str, int], games: int) -> Weighted:
    """How many of a kind there are, none included, over the `games` that do not ask for it."""
    # Games without the kind are in no row of the counts: they are the rest.
    seen = {int(n): weight for n, weight in row.items() if n != ASKED}
    return weighted({0: games - sum(seen.values()), **seen})


def _chances(kind: str, row: dict[str, int], rooms: int) -> dict[str, float]:
    total = sum(row.values())
    # The first one of its kind in a room has none of its own kind to share a place with.
    return {k: n / (total - rooms * (k == kind)) for k, n in row.items() if k != ALONE}


def _per_room(row: dict[str, int], receptacles: dict[str, Weighted]) -> dict[str, float]:
    # A place that few rooms have must draw more where it is, to be as frequent overall.
    weights: dict[str, float] = {}
    for place, n in row.items():
        share = 1.0
        if numbers := receptacles.get(place.removeprefix(BESIDE)):
            without = numbers.weights[numbers.outcomes.index(0)]
            share = 1 - without / sum(numbers.weights)
        # Of a place that hardly any room has, the share is too uncertain to divide by.
        weights[place] = n / max(share, 0.02)
    return weights
