"""What changes while a game is played."""

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.pddl import Problem
from duomem_jax.worlds.household.engine.setting import grouped

MARKS = ("isclean", "ishot", "iscool", "issliced", "istoggled", "ison", "checked")


@dataclass(slots=True)
class State:
    """The fluents of ALFWorld's domain.

    Attributes:
        agent: the player's id.
        place: the agent's location.
        held: the object in hand, or None.
        opened: open receptacles.
        inside: objects in each receptacle, sorted; an object can be in several.
        lying: objects at each location.
        removed: (object, receptacle) pairs taken apart and not rejoined since. The real engine
            knows that an object is *not* in a receptacle only once an action has made it so.
        marks: ids with each mark of `MARKS`.
    """

    agent: str
    place: str
    held: str | None
    opened: set[str]
    inside: dict[str, list[str]]
    lying: dict[str, set[str]]
    removed: set[tuple[str, str]]
    marks: dict[str, set[str]]

    @classmethod
    def first(cls, problem: Problem, source: str) -> "State":
        """The state that `:init` describes.

        Raises:
            UserError: the agent has not exactly one place, or holds more than one object.
        """
        facts = problem.facts
        places = facts.get("atlocation", ())
        held = facts.get("holds", ())
        if len(places) != 1 or len(held) > 1:
            raise UserError(
                f"{source}: :init must give the agent one atLocation and at most one holds; "
                "correct the pddl_problem"
            )
        inside = grouped(facts.get("inreceptacle", ()))
        return cls(
            agent=places[0][0],
            place=places[0][1],
            held=held[0][1] if held else None,
            opened={r for (r,) in facts.get("opened", ())},
            # Every receptacle has a list, so that none is missing when something is put into it.
            inside={r: list(inside.get(r, ())) for r, _ in facts["receptacleatlocation"]},
            lying={p: set(os) for p, os in grouped(facts.get("objectatlocation", ())).items()},
            removed=set(),
            marks={mark: {i for (i,) in facts.get(mark, ())} for mark in MARKS},
        )

    def copy(self) -> "State":
        """A copy that shares nothing which changes."""
        return State(
            agent=self.agent,
            place=self.place,
            held=self.held,
            opened=self.opened.copy(),
            inside={r: objects.copy() for r, objects in self.inside.items()},
            lying={place: objects.copy() for place, objects in self.lying.items()},
            removed=self.removed.copy(),
            marks={mark: ids.copy() for mark, ids in self.marks.items()},
        )

    def take(self, o: str, r: str) -> None:
        """Move `o` from receptacle `r` here into the hand."""
        self.inside[r].remove(o)
        self.removed.add((o, r))
        # What is held lies nowhere; a place may have had no object at all.
        self.lying.get(self.place, set()).discard(o)
        self.held = o

    def put(self, o: str, r: str) -> None:
        """Move `o` from the hand into receptacle `r` here."""
        if o not in self.inside[r]:  # kept sorted, as the real engine lists them
            insort(self.inside[r], o)
        self.removed.discard((o, r))
        self.lying.setdefault(self.place, set()).add(o)
        self.held = None

    def toggle(self, o: str) -> None:
        """Switch `o`; that it was ever switched is remembered for good."""
        self.marks["ison"].symmetric_difference_update((o,))
        self.marks["istoggled"].add(o)


def _marked(mark: str) -> Callable[..., bool]:
    return lambda state, i: i in state.marks[mark]


# How a goal looks up each predicate that actions change.
FLUENTS: dict[str, Callable[..., bool]] = {
    # There is one agent, so its id decides nothing.
    "atlocation": lambda state, _, place: state.place == place,
    "holds": lambda state, _, o: state.held == o,
    "holdsany": lambda state, _: state.held is not None,
    "opened": lambda state, r: r in state.opened,
    "inreceptacle": lambda state, o, r: o in state.inside.get(r, ()),
    "objectatlocation": lambda state, o, place: o in state.lying.get(place, ()),
    **{mark: _marked(mark) for mark in MARKS},
}
