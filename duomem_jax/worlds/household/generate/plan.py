"""Shortest walkthroughs by somebody who knows where everything is."""

import random
from collections.abc import Iterator
from itertools import permutations, product

from duomem_jax.worlds.household.generate.room import Place, Receptacle, Room, Thing
from duomem_jax.worlds.household.generate.statistics import APPLIANCES, LAMP_TASK, TWO_TASK
from duomem_jax.worlds.household.generate.task import WrittenTask

_VERBS = {"SinkBasin": "clean", "Microwave": "heat", "Fridge": "cool"}


def walkthrough(
    rng: random.Random, task: WrittenTask, room: Room, names: dict[str, str]
) -> tuple[str, ...]:
    """A shortest list of commands that wins `task` in `room`, a random one of them.

    Args:
        rng: decides between equally short ways.
        task: what to reach; `room` must hold what it needs.
        room: where.
        names: visible name per id.
    """
    # Rooms are small and deeds few: trying every way is cheaper than searching for the shortest.
    ways = [tuple(walk.commands) for walk in _ways(task, room, names)]
    shortest = min(map(len, ways))
    return rng.choice([way for way in ways if len(way) == shortest])


class _Walk:
    """Commands so far; adds the going and the opening that each deed needs."""

    def __init__(self, names: dict[str, str]):
        self.commands: list[str] = []
        self._names = names
        self._here: Place | None = None
        self._opened: set[str] = set()

    def go(self, receptacle: Receptacle) -> str:
        name = self._names[receptacle.id]
        # `go to` a receptacle that is at hand already would be refused.
        if self._here != receptacle.place:
            self.commands.append(f"go to {name}")
            self._here = receptacle.place
        return name

    def _reach_into(self, receptacle: Receptacle) -> str:
        name = self.go(receptacle)
        if receptacle.openable and receptacle.id not in self._opened:
            self.commands.append(f"open {name}")
            # Nothing is ever closed again, so what was opened stays so.
            self._opened.add(receptacle.id)
        return name

    def take(self, thing: Thing) -> None:
        assert thing.receptacle is not None
        source = self._reach_into(thing.receptacle)
        self.commands.append(f"take {self._names[thing.id]} from {source}")

    def treat(self, thing: Thing, appliance: Receptacle) -> None:
        # Appliances treat through a closed door.
        name = self.go(appliance)
        self.commands.append(f"{_VERBS[appliance.kind]} {self._names[thing.id]} with {name}")

    def put(self, thing: Thing, receptacle: Receptacle) -> None:
        target = self._reach_into(receptacle)
        self.commands.append(f"move {self._names[thing.id]} to {target}")

    def use(self, lamp: Thing) -> None:
        assert lamp.receptacle is not None
        self.go(lamp.receptacle)
        self.commands.append(f"use {self._names[lamp.id]}")


def _ways(task: WrittenTask, room: Room, names: dict[str, str]) -> Iterator[_Walk]:
    """Every sensible way to win."""
    wanted = _in_receptacles(room, task.kind)
    if task.type == LAMP_TASK:
        for thing, lamp in product(wanted, _in_receptacles(room, task.target)):
            walk = _Walk(names)
            walk.take(thing)
            walk.use(lamp)
            yield walk
        return
    targets = [r for r in room.receptacles if r.kind == task.target]
    appliances: list[Receptacle | None] = [
        r for r in room.receptacles if r.kind == APPLIANCES.get(task.type)
    ]
    # Of two objects the order counts, too: it decides what has to be walked.
    for target, things, appliance in product(
        targets, permutations(wanted, 2 if task.type == TWO_TASK else 1), appliances or [None]
    ):
        walk = _Walk(names)
        for thing in things:
            walk.take(thing)
            if appliance:
                walk.treat(thing, appliance)
            walk.put(thing, target)
        yield walk


def _in_receptacles(room: Room, kind: str) -> list[Thing]:
    # Nothing can be taken from the floor.
    return [t for t in room.things if t.kind == kind and t.receptacle]
