"""Draw a furnished room: receptacles, where they are reached from, and what lies where."""

import random
from dataclasses import dataclass

from duomem_jax.worlds.household.generate import ids
from duomem_jax.worlds.household.generate.odds import RoomOdds, draw, draw_at_least, weighted
from duomem_jax.worlds.household.generate.statistics import BESIDE, FLOOR


@dataclass(frozen=True)
class Place:
    """Where the player can stand. `x`, `z` are grid cells of a quarter metre."""

    id: str
    x: int
    z: int


@dataclass(frozen=True)
class Receptacle:
    """Something that can hold objects."""

    id: str
    kind: str
    place: Place
    point: ids.Point
    openable: bool


@dataclass(frozen=True)
class Thing:
    """An object; `receptacle` is None when it lies on the floor at `place`."""

    id: str
    kind: str
    place: Place
    receptacle: Receptacle | None


@dataclass
class Room:
    """A furnished room and where the player starts (no receptacle is reached from there)."""

    scene: int
    start: Place
    receptacles: list[Receptacle]
    things: list[Thing]


@dataclass(frozen=True)
class RoomNeeds:
    """What a task asks of a room.

    Attributes:
        receptacles: kinds of which there must be one at least.
        things: object kind -> how many must lie in receptacles.
        keep_out: (object kind, receptacle kind) that must not be together at the start.
    """

    receptacles: set[str]
    things: dict[str, int]
    keep_out: tuple[str, str]


class Furnisher:
    """Draws one room; hands out ids and places that are unique in it."""

    def __init__(self, rng: random.Random, odds: RoomOdds):
        self._rng = rng
        self._odds = odds
        self._ids: set[str] = set()

    def room(self, needs: RoomNeeds) -> Room | None:
        """A room that meets `needs`; None when the draw leaves a needed object no place."""
        # No receptacle gets this place, so none is reached from where the game begins.
        start = self._new_place()
        receptacles = self._receptacles(needs)
        things = self._things(needs, receptacles)
        if things is None:
            return None
        return Room(self._rng.choice(self._odds.scenes), start, receptacles, things)

    def _receptacles(self, needs: RoomNeeds) -> list[Receptacle]:
        found: list[Receptacle] = []
        for kind, numbers in self._odds.receptacles.items():
            least = int(kind in needs.receptacles)
            for _ in range(draw_at_least(self._rng, numbers, least)):
                place = self._shared_place(kind, found) or self._new_place()
                # Cells are quarter metres, points metres.
                point = self._point_near((place.x / 4, self._rng.uniform(0.1, 2.0), place.z / 4), 1)
                openable = self._rng.random() < self._odds.openable[kind]
                i = self._new_id(kind, point)
                found.append(Receptacle(i, kind, place, point, openable))
        return found

    def _shared_place(self, kind: str, found: list[Receptacle]) -> Place | None:
        """The place of an earlier receptacle, by the odds that two such kinds share one."""
        for partner, chance in self._odds.shared[kind].items():
            if self._rng.random() >= chance:
                continue
            # Two of a kind do not share the place of one partner, unless the kind goes together.
            taken = {r.place for r in found if r.kind == kind and partner != kind}
            free = [r.place for r in found if r.kind == partner and r.place not in taken]
            if free:
                return self._rng.choice(free)
        return None

    def _things(self, needs: RoomNeeds, receptacles: list[Receptacle]) -> list[Thing] | None:
        by_kind: dict[str, list[Receptacle]] = {}
        for r in receptacles:
            by_kind.setdefault(r.kind, []).append(r)
        found = []
        for kind, numbers in self._odds.objects.items():
            lying = needs.things.get(kind, 0)
            # The task's own number goes before the odds, which were counted where no task asks.
            number = lying or draw(self._rng, numbers)
            if not number:
                continue
            places = self._open_places(kind, by_kind, needs)
            # The task could not be solved in such a room; other things are simply omitted.
            if not places and lying:
                return None
            if places:
                for where in self._rng.choices(*weighted(places), k=number):
                    found.append(self._thing(kind, where, by_kind))
        return found

    def _open_places(
        self, kind: str, by_kind: dict[str, list[Receptacle]], needs: RoomNeeds
    ) -> dict[str, float]:
        """Places of this room where `kind` may lie, with their weights."""
        # What the task needs lies in a receptacle, where `take` can reach it.
        floor = kind not in needs.things
        return {
            place: weight
            for place, weight in zip(*self._odds.places[kind], strict=True)
            if (place in by_kind and (kind, place) != needs.keep_out)
            or (floor and (place == FLOOR or place.removeprefix(BESIDE) in by_kind))
        }

    def _thing(self, kind: str, where: str, by_kind: dict[str, list[Receptacle]]) -> Thing:
        if where == FLOOR:
            place = self._new_place()
            point = self._point_near((place.x / 4, 0.0, place.z / 4), 0.5)
            return Thing(self._new_id(kind, point), kind, place, None)
        receptacle = self._rng.choice(by_kind[where.removeprefix(BESIDE)])
        point = self._point_near(receptacle.point, 0.25)
        # "beside X" is no kind of receptacle: it lies on the floor at X.
        inside = where in by_kind
        return Thing(
            self._new_id(kind, point), kind, receptacle.place, receptacle if inside else None
        )

    def _point_near(self, point: ids.Point, reach: float) -> ids.Point:
        x, y, z = point
        return (
            x + self._rng.uniform(-reach, reach),
            y + self._rng.uniform(0, 0.1),
            z + self._rng.uniform(-reach, reach),
        )

    def _new_id(self, kind: str, point: ids.Point) -> str:
        i = ids.thing_id(kind, point)
        while i in self._ids:  # an id is a kind and a point: another point, another id
            point = self._point_near(point, 0.1)
            i = ids.thing_id(kind, point)
        self._ids.add(i)
        return i

    def _new_place(self) -> Place:
        while True:
            x, z = self._rng.randint(-12, 12), self._rng.randint(-12, 12)
            i = ids.location_id(x, z, self._rng.randrange(4), self._rng.choice((15, 30, 45, 60)))
            if i not in self._ids:
                self._ids.add(i)
                return Place(i, x, z)
