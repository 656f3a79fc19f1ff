"""The statistics, prepared for drawing."""

import functools
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from duomem_jax.worlds.household.generate.statistics import ALONE, BESIDE, needed_kinds, shipped

Row = tuple[list, list[float]]  # outcomes and their weights


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
    tasks: dict[str, Row]
    receptacles: dict[str, Row]
    objects: dict[str, Row]
    openable: dict[str, float]
    shared: dict[str, dict[str, float]]
    places: dict[str, Row]


@functools.cache
def room_odds(room: str) -> RoomOdds:
    """Odds of a room type, from the shipped statistics."""
    table = shipped()["rooms"][room]
    games = sum(table["scenes"].values())
    tasks = {
        task_type: {(target, kind): n for target, row in by.items() for kind, n in row.items()}
        for task_type, by in table["tasks"].items()
    }
    receptacles, objects = (
        {k: _numbers(row, games - asked[k]) for k, row in table[name].items()}
        for name, asked in zip(("receptacles", "objects"), _asked(tasks), strict=True)
    )
    rooms_with = {k: sum(row.values()) for k, row in table["receptacles"].items()}
    return RoomOdds(
        scenes=[int(scene) for scene in table["scenes"]],
        tasks={task_type: row_of(pairs) for task_type, pairs in tasks.items()},
        receptacles=receptacles,
        objects=objects,
        openable={k: row.get("yes", 0) / sum(row.values()) for k, row in table["openable"].items()},
        shared={k: _chances(k, row, rooms_with[k]) for k, row in table["shared"].items()},
        places={k: row_of(_per_room(row, receptacles)) for k, row in table["places"].items()},
    )


def draw(rng: random.Random, row: Row) -> Any:
    """One outcome of `row`."""
    return rng.choices(*row)[0]


def draw_at_least(rng: random.Random, row: Row, least: int) -> int:
    """A number of `row` no lower than `least`; `least` itself when none was seen."""
    enough = {n: weight for n, weight in zip(*row, strict=True) if n >= least and weight}
    return draw(rng, row_of(enough)) if enough else least


def row_of(weights: dict[Any, float]) -> Row:
    """The row with these weights per outcome."""
    return list(weights), list(weights.values())


def _asked(tasks: dict[str, dict[tuple[str, str], int]]) -> tuple[Counter, Counter]:
    """In how many games the task asks for a receptacle kind, for an object kind."""
    asked: tuple[Counter, Counter] = (Counter(), Counter())
    for task_type, pairs in tasks.items():
        for (target, kind), n in pairs.items():
            for counter, kinds in zip(asked, needed_kinds(task_type, kind, target), strict=True):
                counter.update(dict.fromkeys(kinds, n))
    return asked


def _numbers(row: dict[str, int], games: int) -> Row:
    """How many of a kind there are, none included, over the `games` that do not ask for it."""
    seen = {int(n): weight for n, weight in row.items() if n != "asked"}
    return row_of({0: games - sum(seen.values()), **seen})


def _chances(kind: str, row: dict[str, int], rooms: int) -> dict[str, float]:
    total = sum(row.values())
    # Of the same kind the first one in a room has nobody to share with.
    return {k: n / (total - rooms * (k == kind)) for k, n in row.items() if k != ALONE}


def _per_room(row: dict[str, int], receptacles: dict[str, Row]) -> dict[str, float]:
    # A place that few rooms have must draw more where it is, to be as frequent overall.
    weights: dict[str, float] = {}
    for place, n in row.items():
        numbers, games = receptacles.get(place.removeprefix(BESIDE), ([], []))
        share = 1 - games[numbers.index(0)] / sum(games) if numbers else 1.0
        weights[place] = n / max(share, 0.02)
    return weights
