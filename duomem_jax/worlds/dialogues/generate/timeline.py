"""What is true in a dialogue, and since when: the source of all that is said and asked."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from duomem_jax.worlds.dialogues.generate.cast import Person, Row
from duomem_jax.worlds.dialogues.generate.dates import When

# What happens to what is true. AGAIN tells what is known, FIXED what was told wrongly.
STATE, START, CHANGE, END, AGAIN, FIXED = "state", "start", "change", "end", "again", "fixed"
EVENT, DETAIL, PLAN, OPINION = "event", "detail", "plan", "opinion"  # slots beside those of tables
PLANNED, MOVED, CANCELLED, DONE = "planned", "moved", "cancelled", "done"  # moves of plans


@dataclass(frozen=True)
class Event:
    """Something became true, changed, ended, or was told again.

    Attributes:
        move: one of the words above.
        person: whose fact it is.
        slot: what sort of fact.
        about: names what has one value at a time.
        row: the value `v` and its fields.
        old: the value before; "" for none.
        when: the day it happened, None where none is told.
        session: index of the session that it was told in.
        turns: ids of the turns that tell it.
    """

    move: str
    person: Person
    slot: str
    about: str
    row: Row
    old: str
    when: When | None
    session: int
    turns: tuple[str, ...]

    @property
    def value(self) -> str:
        """The value, for people."""
        return self.row["v"]

    @property
    def over(self) -> bool:
        """What it is about is true no more."""
        return self.move in (END, CANCELLED)


@dataclass
class Timeline:
    """All that happened, in the order in which it was told."""

    events: list[Event] = field(default_factory=list)
    _by_about: dict[str, list[Event]] = field(default_factory=dict)
    _now: dict[str, Event] = field(default_factory=dict)
    _of: dict[tuple[str, str], dict[str, Event]] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Let something happen."""
        self.events.append(event)
        self._by_about.setdefault(event.about, []).append(event)
        if event.move != AGAIN:
            self._now[event.about] = event
            self._of.setdefault((event.person.full, event.slot), {})[event.about] = event

    def history(self, about: str) -> list[Event]:
        """What happened to one thing, without what was only told again."""
        return [e for e in self.tellings(about) if e.move != AGAIN]

    def tellings(self, about: str) -> list[Event]:
        """As `history`, with what was told again."""
        return self._by_about.get(about, [])

    def known(self, about: str) -> bool:
        """Whether it was ever told."""
        return about in self._now

    def last_told(self, about: str) -> int:
        """Index of the session that last spoke of it."""
        return self._by_about[about][-1].session

    def now(self) -> Iterator[Event]:
        """The last word on each thing that was told."""
        return iter(self._now.values())

    def of(self, person: Person, slot: str) -> list[Event]:
        """The last word on each thing of a slot of somebody, ended ones included."""
        return list(self._of.get((person.full, slot), {}).values())
