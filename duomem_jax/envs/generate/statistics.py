"""What real games look like, as counts: the numbers the generator draws from.

`statistics.json` beside this file was counted on the 3,553 training games of ALFWorld
json_2.1.1 and holds aggregate numbers only. Count it again with

    python -m duomem_jax.envs.generate.statistics --games DIR
"""

import argparse
import functools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from duomem_jax.envs.base import Game
from duomem_jax.io import atomic_write_text

FILE = Path(__file__).with_name("statistics.json")
FLOOR = "floor"  # a place that is no receptacle
BESIDE = "beside "  # + receptacle kind: on the floor where that receptacle is reached from
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

_FACT = re.compile(r"\(([^()\s]+)((?: [^()\s]+)*)\)")
_ROOMS = ((100, "kitchen"), (300, "living_room"), (400, "bedroom"), (500, "bathroom"))


def parse_facts(pddl_problem: str) -> dict[str, set[tuple[str, ...]]]:
    """Initial facts of a problem: predicate -> set of argument tuples."""
    text = pddl_problem[pddl_problem.index("(:init") : pddl_problem.index("(:goal")]
    facts: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for predicate, args in _FACT.findall(text):
        facts[predicate].add(tuple(args.split()))
    return facts


def room_of(scene: int) -> str:
    """Room of a scene number: 1-30 kitchens, 2xx living rooms, 3xx bedrooms, 4xx bathrooms."""
    return next(room for limit, room in _ROOMS if scene < limit)


def parse_id(game_id: str) -> tuple[str, str, str, int]:
    """(task type, object kind, receptacle or lamp kind, scene) from a game's folder name."""
    task_type, kind, _, target, scene = game_id.split("/")[-2].rsplit("-", 4)
    return task_type, kind, target, int(scene)


def needed_kinds(task_type: str, kind: str, target: str) -> tuple[set[str], set[str]]:
    """Receptacle kinds and object kinds that a task cannot do without."""
    if task_type == LAMP_TASK:
        return set(), {kind, target}
    return {target, APPLIANCES.get(task_type, target)}, {kind}


def count(games: Iterable[Game]) -> dict:
    """Aggregate counts over `games`, in the form of `statistics.json`."""
    rooms: dict[str, _RoomCounts] = defaultdict(_RoomCounts)
    targets: dict[str, Counter] = defaultdict(Counter)
    steps: dict[str, list[int]] = defaultdict(list)
    kinds: dict[str, set[str]] = defaultdict(set)
    contain: dict[str, set[str]] = defaultdict(set)
    for game in games:
        task_type, kind, target, scene = parse_id(game.id)
        facts = parse_facts(game.pddl_problem)
        rooms[room_of(scene)].add(facts, task_type, kind, target, scene)
        steps[task_type].append(len(game.walkthrough))
        types = {i: t.removesuffix("Type") for i, t in facts["objectType"]}
        lying = {i for i, _ in facts["inReceptacle"] if types[i] == kind}
        targets[task_type][len(lying)] += 1
        for i, k in types.items():
            kinds[k].update(p for p in PROPERTIES if (i,) in facts[p])
        for r, o in facts["canContain"]:
            contain[r.removesuffix("Type")].add(o.removesuffix("Type"))
    return {
        "games": sum(len(lengths) for lengths in steps.values()),
        "properties": {k: [p for p in PROPERTIES if p in kinds[k]] for k in sorted(kinds)},
        "can_contain": {k: sorted(contain[k]) for k in sorted(contain)},
        "targets": {t: _histogram(targets[t]) for t in sorted(targets)},
        "mean_steps": {t: round(sum(n) / len(n), 3) for t, n in sorted(steps.items())},
        "rooms": {name: rooms[name].table() for _, name in _ROOMS if name in rooms},
    }


class _RoomCounts:
    """Counts over the games of one room type."""

    def __init__(self):
        self.scenes: list[int] = []
        self.tasks: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
        # How many of a kind there are is counted where the task does not ask for that kind.
        # Otherwise the asked-for games would count twice when generated: there the generator
        # draws at least one, then draws again from odds that already hold them.
        self.receptacles: dict[str, Counter] = defaultdict(Counter)
        self.objects: dict[str, Counter] = defaultdict(Counter)
        self.asked: Counter = Counter()
        self.openable: Counter = Counter()
        self.total: Counter = Counter()
        self.spare: Counter = Counter()
        self.shared: dict[str, Counter] = defaultdict(Counter)
        self.places: dict[str, Counter] = defaultdict(Counter)

    def add(self, facts: dict, task_type: str, kind: str, target: str, scene: int) -> None:
        self.scenes.append(scene)
        self.tasks[task_type][target][kind] += 1
        types = {
            i: t.removesuffix("Type") for p in ("objectType", "receptacleType") for i, t in facts[p]
        }
        needed_receptacles, needed_objects = needed_kinds(task_type, kind, target)
        for predicate, table, needed in (
            ("receptacleType", self.receptacles, needed_receptacles),
            ("objectType", self.objects, needed_objects),
        ):
            self.asked.update(f"{predicate} {k}" for k in needed)
            found = Counter(types[i] for i, _ in facts[predicate])
            for k, n in found.items():
                if k in needed:
                    table[k]  # a kind seen only where asked for still gets a row
                else:
                    table[k][n] += 1
        self.openable.update(types[i] for (i,) in facts["openable"])
        self._add_shared(facts, types)
        self._add_places(facts, types)

    def _add_shared(self, facts: dict, types: dict[str, str]) -> None:
        here: dict[str, list[str]] = defaultdict(list)
        for i, location in facts["receptacleAtLocation"]:
            here[location].append(types[i])
        kinds = Counter(types[i] for i, _ in facts["receptacleAtLocation"])
        self.total.update(kinds)
        self.spare.update({k: n - 1 for k, n in kinds.items()})
        for together in here.values():
            first, *others = sorted(together)
            for k in others:
                self.shared[k][first] += 1

    def _add_places(self, facts: dict, types: dict[str, str]) -> None:
        receptacle_at = {loc: types[i] for i, loc in sorted(facts["receptacleAtLocation"])}
        lies_in = {o: types[r] for o, r in sorted(facts["inReceptacle"])}
        for o, location in facts["objectAtLocation"]:
            place = lies_in.get(o)
            if place is None:
                near = receptacle_at.get(location)
                place = BESIDE + near if near else FLOOR
            self.places[types[o]][place] += 1

    def table(self) -> dict:
        n = len(self.scenes)

        def histograms(predicate: str, table: dict[str, Counter]) -> dict[str, list[int]]:
            free = {k: n - self.asked[f"{predicate} {k}"] for k in table}
            return {
                k: _histogram(Counter({0: free[k] - seen.total()}) + seen)
                for k, seen in sorted(table.items())
            }

        def rate(k: str, partner: str) -> float:
            whole = self.spare[k] if k == partner else self.total[k]
            return round(self.shared[k][partner] / whole, 3)

        return {
            "games": n,
            "scenes": [min(self.scenes), max(self.scenes)],
            "tasks": {
                t: {r: dict(sorted(o.items())) for r, o in sorted(by.items())}
                for t, by in sorted(self.tasks.items())
            },
            "receptacles": histograms("receptacleType", self.receptacles),
            "openable": {k: round(v / self.total[k], 3) for k, v in sorted(self.openable.items())},
            "shared": {
                k: {p: rate(k, p) for p in sorted(by) if rate(k, p) >= 0.005}
                for k, by in sorted(self.shared.items())
            },
            "objects": histograms("objectType", self.objects),
            "places": {k: dict(sorted(v.items())) for k, v in sorted(self.places.items())},
        }


def _histogram(counts: Counter) -> list[int]:
    """Row whose entry i says how often the count i was seen; [] when never."""
    return [counts[i] for i in range(max(counts, default=-1) + 1)]


@functools.cache
def shipped() -> dict:
    """The statistics that come with the package."""
    return json.loads(FILE.read_text())


def main() -> None:
    """Count a folder of games and write `statistics.json`."""
    from duomem_jax.envs.load import load_games

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--games", required=True, help="games to count, split train")
    parser.add_argument("--out", default=FILE, help="where the statistics go")
    args = parser.parse_args()
    table = count(load_games(args.games, split="train"))
    atomic_write_text(args.out, json.dumps(table, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
