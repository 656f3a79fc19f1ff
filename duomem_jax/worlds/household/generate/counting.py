"""Count what real games look like.

    python -m duomem_jax.worlds.household.generate.counting --games DIR

writes the `statistics.json` that the generator draws from.
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from duomem_jax.base.io import atomic_write_text
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.generate.statistics import (
    ALONE,
    ASKED,
    BESIDE,
    FILE,
    FLOOR,
    ROOMS,
    GameId,
    needed_kinds,
    parse_id,
)

PROPERTIES = (
    "pickupable",
    "isReceptacleObject",
    "cleanable",
    "heatable",
    "coolable",
    "sliceable",
    "toggleable",
)
Pairs = Counter[tuple[str, str]]

_FACT = re.compile(r"\(([^()\s]+)((?: [^()\s]+)*)\)")


def count(games: Iterable[Game]) -> dict[str, Any]:
    """Aggregate counts over `games`.

    Returns:
        The content of `statistics.json`: `_Counts`, whose tuples have become nested dicts.
    """
    counts = _Counts()
    for game in games:
        counts.add(game)
    return counts.to_dict()


@dataclass(frozen=True)
class _Facts:
    """The initial facts of one game.

    Attributes:
        of: arguments of each predicate.
        objects: kind of each object, by id.
        receptacles: kind of each receptacle, by id.
    """

    of: Mapping[str, set[tuple[str, ...]]]
    objects: dict[str, str]
    receptacles: dict[str, str]

    @classmethod
    def read(cls, problem: str) -> "_Facts":
        of: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        # A reader of its own: kinds keep their capitals here, which `engine.pddl` lowers.
        for name, args in _FACT.findall(problem, problem.index("(:init"), problem.index("(:goal")):
            of[name].add(tuple(args.split()))
        objects = {i: t.removesuffix("Type") for i, t in of["objectType"]}
        receptacles = {i: t.removesuffix("Type") for i, t in of["receptacleType"]}
        return cls(of, objects, receptacles)


@dataclass
class _RoomCounts:
    """Counts of the games in one type of room.

    Attributes:
        scenes: games by scene number.
        tasks: games by task type, target and kind of object.
        receptacles: games by kind and how many of it there are; `ASKED` where the task asks for
            the kind.
        objects: the same of objects.
        openable: receptacles by kind and whether they open.
        shared: receptacles by kind and the kind of the first one reached from the same place.
        places: objects by kind and where they lie.
    """

    scenes: Counter[str] = field(default_factory=Counter)
    tasks: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    receptacles: Pairs = field(default_factory=Counter)
    objects: Pairs = field(default_factory=Counter)
    openable: Pairs = field(default_factory=Counter)
    shared: Pairs = field(default_factory=Counter)
    places: Pairs = field(default_factory=Counter)

    def add(self, game: GameId, facts: _Facts) -> None:
        self.scenes[f"{game.scene:03d}"] += 1
        self.tasks[game.task_type, game.target, game.kind] += 1
        needed = needed_kinds(game.task_type, game.kind, game.target)
        self.receptacles.update(_numbers(facts.receptacles.values(), needed.receptacles))
        self.objects.update(_numbers(facts.objects.values(), needed.objects))
        opening = facts.of["openable"]
        for i, kind in facts.receptacles.items():
            self.openable[kind, "yes" if (i,) in opening else "no"] += 1
        self.shared.update(_shared(facts))
        self.places.update(_places(facts))


@dataclass
class _Counts:
    """Counts of all games.

    Attributes:
        steps: games by task type and length of the walkthrough.
        targets: games by task type and how many of the wanted objects lie in receptacles.
        properties: objects by kind and property.
        can_contain: games by receptacle kind and a kind of object that it can contain.
        rooms: counts of each type of room.
    """

    steps: Pairs = field(default_factory=Counter)
    targets: Pairs = field(default_factory=Counter)
    properties: Pairs = field(default_factory=Counter)
    can_contain: Pairs = field(default_factory=Counter)
    rooms: dict[str, _RoomCounts] = field(default_factory=lambda: defaultdict(_RoomCounts))

    def add(self, game: Game) -> None:
        name = parse_id(game.id)
        facts = _Facts.read(game.pddl_problem)
        self.steps[name.task_type, str(len(game.walkthrough))] += 1
        # What lies on the floor cannot be taken, so only objects in receptacles count.
        lying = {i for i, _ in facts.of["inReceptacle"] if facts.objects[i] == name.kind}
        self.targets[name.task_type, str(len(lying))] += 1
        for i, kind in facts.objects.items():
            self.properties.update((kind, p) for p in PROPERTIES if (i,) in facts.of[p])
        for receptacle, thing in facts.of["canContain"]:
            self.can_contain[receptacle.removesuffix("Type"), thing.removesuffix("Type")] += 1
        # Scenes 1-30 are kitchens, 201-230 living rooms, 301-330 bedrooms, 401-430 bathrooms.
        self.rooms[ROOMS[max(name.scene // 100 - 1, 0)]].add(name, facts)

    def to_dict(self) -> dict[str, Any]:
        rooms = {name: _nested(vars(counts)) for name, counts in sorted(self.rooms.items())}
        return dict(sorted({**_nested(vars(self)), "rooms": rooms}.items()))


def _nested(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The counters of `tables` as nested dicts, a level for each part of a key, all sorted."""
    root: dict[str, Any] = {}
    for name, table in sorted(tables.items()):
        if not isinstance(table, Counter):
            continue
        for key, n in sorted(table.items()):
            *levels, last = (name, key) if isinstance(key, str) else (name, *key)
            node = root
            for level in levels:
                node = node.setdefault(level, {})
            node[last] = n
    return root


def _numbers(kinds: Iterable[str], needed: set[str]) -> Iterator[tuple[str, str]]:
    """Each kind, and how many of it there are.

    Of a kind that the task asks for there is one at least: how many there are is counted where the
    task does not ask, so that a generated room adds the asking only once.
    """
    for kind, n in Counter(kinds).items():
        yield kind, ASKED if kind in needed else str(n)


def _shared(facts: _Facts) -> Iterator[tuple[str, str]]:
    """Each receptacle's kind, and the kind of the first one reached from the same place."""
    here = defaultdict(list)
    for i, place in facts.of["receptacleAtLocation"]:
        here[place].append(facts.receptacles[i])
    for first, *others in map(sorted, here.values()):
        yield first, ALONE
        yield from ((kind, first) for kind in others)


def _places(facts: _Facts) -> Iterator[tuple[str, str]]:
    """Each object's kind, and where it lies."""
    kinds = facts.receptacles
    # Sorted, since where several receptacles share a place the last one decides.
    reached_from = {place: kinds[i] for i, place in sorted(facts.of["receptacleAtLocation"])}
    lies_in = {thing: kinds[r] for thing, r in sorted(facts.of["inReceptacle"])}
    for thing, place in facts.of["objectAtLocation"]:
        floor = BESIDE + reached_from[place] if place in reached_from else FLOOR
        yield facts.objects[thing], lies_in.get(thing, floor)


def main() -> None:
    """Count a folder of games and write `statistics.json`."""
    from duomem_jax.worlds.household.load import load_games

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--games", required=True, help="games to count; their split train is")
    table = count(load_games(parser.parse_args().games, split="train"))
    atomic_write_text(FILE, json.dumps(table, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
