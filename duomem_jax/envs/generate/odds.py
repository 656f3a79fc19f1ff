"""The statistics, prepared for drawing."""

import functools
import random
from dataclasses import dataclass

from duomem_jax.envs.generate import statistics


@dataclass(frozen=True)
class RoomOdds:
    """Odds of one room type; see `statistics.json` for the fields of the same name.

    Attributes:
        scenes: lowest and highest scene number.
        receptacles: per kind, how often each number of them was seen.
        objects: the same for objects.
        openable: share of a receptacle kind that can be opened.
        shared: per kind, chance to be reached from where a receptacle of another kind is.
        places: per object kind, (place, weight), the weight being per room that has the place.
    """

    scenes: tuple[int, int]
    receptacles: dict[str, list[int]]
    objects: dict[str, list[int]]
    openable: dict[str, float]
    shared: dict[str, dict[str, float]]
    places: dict[str, list[tuple[str, float]]]


@functools.cache
def room_odds(room: str) -> RoomOdds:
    """Odds of a room type."""
    table = statistics.shipped()["rooms"][room]

    def weight(place: str, n: int) -> float:
        # A place that few rooms have must draw more where it is, to be as frequent overall.
        seen = table["receptacles"].get(place.removeprefix(statistics.BESIDE))
        return n if seen is None else n / max(1 - seen[0] / sum(seen), 0.02)

    return RoomOdds(
        scenes=tuple(table["scenes"]),
        receptacles=table["receptacles"],
        objects=table["objects"],
        openable=table["openable"],
        shared=table["shared"],
        places={
            k: [(p, weight(p, n)) for p, n in row.items()] for k, row in table["places"].items()
        },
    )


def draw_number(rng: random.Random, histogram: list[int], at_least: int = 0) -> int:
    """Draw a count by how often it was seen; `at_least` itself when no such count was."""
    weights = histogram[at_least:]
    if not any(weights):
        return at_least
    return rng.choices(range(at_least, len(histogram)), weights)[0]
