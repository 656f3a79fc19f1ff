"""What real games look like, as counts: the numbers the generator draws from.

`statistics.json` beside this file was counted on the 3,553 training games of ALFWorld
json_2.1.1 and holds aggregate numbers only. Count it again with

    python -m duomem_jax.worlds.household.generate.statistics --games DIR
"""

import argparse
import functools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from duomem_jax.base.io import atomic_write_text
from duomem_jax.worlds.household.game import Game

FILE = Path(__file__).with_name("statistics.json")
FLOOR = "floor"  # a place that is no receptacle
BESIDE = "beside "  # + receptacle kind: on the floor where that receptacle is reached from
ALONE = "alone"  # of a receptacle: it is the first to be reached from its place
LAMP_TASK = "look_at_obj_in_light"
TWO_TASK = "pick_two_obj_and_place"
APPLIANCES = {
    "pick_clean_then_place_in_recep": "SinkBasin",
    "pick_heat_then_place_in_recep": "Microwave",
    "pick_cool_then_place_in_recep": "Fridge",
}
PROPERTIES = (
    "pickupable",
    "isReceptacleObject",
    "cleanable",
    "heatable",
    "coolable",
    "sliceable",
    "toggleable",
)
ROOMS = ("kitchen", "living_room", "bedroom", "bathroom")  # scenes 1-30, 2xx, 3xx, 4xx

_FACT = re.compile(r"\(([^()\s]+)((?: [^()\s]+)*)\)")


@functools.cache
def shipped() -> dict[str, Any]:
    """The statistics that come with the package."""
    return json.loads(FILE.read_text())


def parse_id(game_id: str) -> tuple[str, str, str, int]:
    """(task type, object kind, receptacle or lamp kind, scene) from a game's folder name."""
    task_type, kind, _, target, scene = game_id.split("/")[-2].rsplit("-", 4)
    return task_type, kind, target, int(scene)


def needed_kinds(task_type: str, kind: str, target: str) -> tuple[set[str], set[str]]:
    """Receptacle kinds and object kinds that a task cannot do without."""
    if task_type == LAMP_TASK:
        return set(), {kind, target}
    return {target, APPLIANCES.get(task_type, target)}, {kind}


def count(games: Iterable[Game]) -> dict[str, Any]:
    """Aggregate counts over `games`: nested dicts, a leaf says how often its path was seen."""
    seen: Counter[tuple[str, ...]] = Counter()
    for game in games:
        seen.update(_sightings(game))
    root: dict[str, Any] = {}
    for path, n in sorted(seen.items()):
        node = root
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = n
    return root


def _sightings(game: Game) -> Iterator[tuple[str, ...]]:
    """Paths in the statistics that this game adds one to."""
    task_type, kind, target, scene = parse_id(game.id)
    text = game.pddl_problem
    facts: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for predicate, args in _FACT.findall(text, text.index("(:init"), text.index("(:goal")):
        facts[predicate].add(tuple(args.split()))
    objects = {i: t.removesuffix("Type") for i, t in facts["objectType"]}
    receptacles = {i: t.removesuffix("Type") for i, t in facts["receptacleType"]}
    yield "steps", task_type, str(len(game.walkthrough))
    lying = {i for i, _ in facts["inReceptacle"] if objects[i] == kind}
    yield "targets", task_type, str(len(lying))
    for i, k in objects.items():
        yield from (("properties", k, p) for p in PROPERTIES if (i,) in facts[p])
    for r, o in facts["canContain"]:
        yield "can_contain", r.removesuffix("Type"), o.removesuffix("Type")

    room = ("rooms", ROOMS[max(scene // 100 - 1, 0)])
    yield *room, "scenes", f"{scene:03d}"
    yield *room, "tasks", task_type, target, kind
    # Of a kind that the task asks for there is one at least: how many there are is counted
    # where the task does not ask, so that a generated room adds the asking only once.
    for table, kinds, needed in zip(
        ("receptacles", "objects"),
        (receptacles, objects),
        needed_kinds(task_type, kind, target),
        strict=True,
    ):
        for k, n in Counter(kinds.values()).items():
            yield *room, table, k, "asked" if k in needed else str(n)
    for i, k in receptacles.items():
        yield *room, "openable", k, "yes" if (i,) in facts["openable"] else "no"
    yield from ((*room, "shared", *pair) for pair in _shared(facts, receptacles))
    yield from ((*room, "places", *pair) for pair in _places(facts, objects, receptacles))


def _shared(facts: dict, receptacles: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each receptacle's kind, and the kind of the first one reached from the same place."""
    here = defaultdict(list)
    for i, place in facts["receptacleAtLocation"]:
        here[place].append(receptacles[i])
    for first, *others in map(sorted, here.values()):
        yield first, ALONE
        yield from ((k, first) for k in others)


def _places(
    facts: dict, objects: dict[str, str], receptacles: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Each object's kind, and where it lies."""
    reached_from = {place: receptacles[i] for i, place in sorted(facts["receptacleAtLocation"])}
    lies_in = {o: receptacles[r] for o, r in sorted(facts["inReceptacle"])}
    for o, place in facts["objectAtLocation"]:
        floor = BESIDE + reached_from[place] if place in reached_from else FLOOR
        yield objects[o], lies_in.get(o, floor)


def main() -> None:
    """Count a folder of games and write `statistics.json`."""
    from duomem_jax.worlds.household.load import load_games

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--games", required=True, help="games to count; their split train is")
    table = count(load_games(parser.parse_args().games, split="train"))
    atomic_write_text(FILE, json.dumps(table, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
