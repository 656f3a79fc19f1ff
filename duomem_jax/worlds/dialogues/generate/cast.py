"""The people of a dialogue, and values that nobody else in it has."""

from collections.abc import Collection
from dataclasses import dataclass, field

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.dialogues.generate.tables import rows, tables
from duomem_jax.worlds.dialogues.generate.wording import capital

Row = dict[str, str]
CIRCLE = 2  # people that each of the two tells of


@dataclass(frozen=True)
class Person:
    """Somebody.

    Attributes:
        name: as they are called.
        woman: which pronouns are theirs.
        relation: to the speaker who tells of them, such as "sister"; "" for a speaker.
        teller: the speaker who tells of them: themselves for a speaker.
    """

    name: str
    woman: bool
    teller: str
    relation: str = ""

    @property
    def full(self) -> str:
        """As the teacher's sentences call them: "Ben's sister Ana"."""
        return f"{self.teller}'s {self.relation} {self.name}" if self.relation else self.name

    @property
    def words(self) -> dict[str, str]:
        """What templates about them need."""
        he, him, his = ("she", "her", "her") if self.woman else ("he", "him", "his")
        rel = f"my {self.relation} {self.name}"
        return {
            "X": self.full,
            "he": he,
            "him": him,
            "his": his,
            "She": capital(he),
            "she": he,
            "pos": his,
            "rel": rel,
            "Rel": capital(rel),
        }


@dataclass
class Cast:
    """Who takes part, and who is told of.

    Attributes:
        speakers: the two people.
        circle: people that they tell of.
    """

    draw: Draw
    held_out: bool
    speakers: tuple[Person, Person] = field(init=False)
    circle: list[Person] = field(init=False)
    _names: set[str] = field(default_factory=set)
    _pools: dict[str, list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        origins = [self._origin(), self._origin()]
        first, second = (self._speaker(origin) for origin in origins)
        self.speakers = (first, second)
        self.circle = [
            person
            for speaker, origin in zip(self.speakers, origins, strict=True)
            for person in self._circle(speaker, origin)
        ]

    def pet_name(self) -> str | None:
        """A name that nobody else has; None where all are in use."""
        free = [n for n in tables(self.held_out)["names"]["pets"]["names"] if self._free(n)]
        return self._taken(self.draw.pick(free)) if free else None

    def take(self, slot: str) -> Row | None:
        """A value that nobody in the dialogue has had; None where all are in use."""
        if slot == "partner":
            name = self._name(self._origin(), self.draw.chance(0.5))
            return {"v": name} if name else None
        if slot not in self._pools:
            self._pools[slot] = self.draw.shuffled(rows(slot, self.held_out))
        pool = self._pools[slot]
        return pool.pop() if pool else None

    def other(self, slot: str, than: Collection[str]) -> str:
        """Some value that may have been anybody's, but is none of those given."""
        values = [row["v"] for row in rows(slot, self.held_out) if row["v"] not in than]
        return self.draw.pick(values)

    def _origin(self) -> str:
        return self.draw.pick(list(tables(self.held_out)["names"]["women"]))

    def _speaker(self, origin: str) -> Person:
        woman = self.draw.chance(0.5)
        name = self._name(origin, woman)
        assert name
        return Person(name, woman, teller=name)

    def _circle(self, speaker: Person, origin: str) -> list[Person]:
        names = tables(self.held_out)["names"]["relations"]
        kin = [(r, True) for r in names["women"]] + [(r, False) for r in names["men"]]
        found = []
        for relation, woman in self.draw.shuffled(kin)[:CIRCLE]:
            if name := self._name(origin, woman):
                found.append(Person(name, woman, speaker.name, relation))
        return found

    def _name(self, origin: str, woman: bool) -> str | None:
        """A name of that origin, or of another one; None where all are in use."""
        groups = tables(self.held_out)["names"]["women" if woman else "men"]
        everybody = [name for names in groups.values() for name in names]
        free = [n for n in groups[origin] if self._free(n)]
        free = free or [n for n in everybody if self._free(n)]
        return self._taken(self.draw.pick(free)) if free else None

    def _taken(self, name: str) -> str:
        self._names.add(name)
        return name

    def _free(self, name: str) -> bool:
        # Neither may be part of the other: "Ana" and "Hana" would be found in each other's facts.
        low = name.casefold()
        return not any(low in n.casefold() or n.casefold() in low for n in self._names)
