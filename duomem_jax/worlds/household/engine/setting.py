"""What stays the same while a game is played: who is where, what can be done to it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.names import visible_names
from duomem_jax.worlds.household.engine.pddl import Problem, parse_problem
from duomem_jax.worlds.household.game import Game

_KNIVES = ("knifetype", "butterknifetype")
_TRAITS = (
    "openable",
    "pickupable",
    "toggleable",
    "sliceable",
    "cleanable",
    "coolable",
    "heatable",
    "isreceptacleobject",
)
# Per verb: the types of receptacle that do it, and the trait an object needs for it.
APPLIANCES = {
    "clean": (("sinktype", "sinkbasintype"), "cleanable"),
    "cool": (("fridgetype",), "coolable"),
    "heat": (("microwavetype",), "heatable"),
}


@dataclass(frozen=True)
class Setting:
    """The unchanging half of a game, shared by every world that plays it.

    Attributes:
        problem: the parsed PDDL problem.
        names: visible name of every id in `:init`.
        location: location of each receptacle, sorted by receptacle.
        here: receptacles at each location, sorted.
        traits: ids with each static property (openable, pickupable, ...).
        appliances: receptacles that serve each verb of `APPLIANCES`.
        knives: objects that slice.
        fits: receptacles that each object may be put into.
        contents: inner objects of objects that hold others (they never change), sorted.
        ways: go-to commands by location, filled as places are visited.
    """

    problem: Problem
    names: dict[str, str]
    location: dict[str, str]
    here: dict[str, tuple[str, ...]]
    traits: dict[str, frozenset[str]]
    appliances: dict[str, frozenset[str]]
    knives: frozenset[str]
    fits: dict[str, frozenset[str]]
    contents: dict[str, tuple[str, ...]]
    ways: dict[str, dict[str, tuple[str, ...]]]


def setting_of(game: Game) -> Setting:
    """The setting of `game`, parsed once and kept for the last few games.

    Raises:
        UserError: the game's `pddl_problem` cannot be played.
    """
    return _setting(game.pddl_problem, f"game {game.id}")


# By the text of the problem: all who play a game share its setting.
@lru_cache(maxsize=64)
def _setting(text: str, source: str) -> Setting:
    problem = parse_problem(text, source)
    facts = problem.facts
    places = facts.get("receptacleatlocation", ())
    location = {row[0]: row[1] for row in sorted(places)}
    # A receptacle with two locations has two facts and one entry.
    if not location or len(location) != len(places):
        raise UserError(
            f"{source}: :init must give every receptacle one receptacleAtLocation; correct the "
            "pddl_problem"
        )
    # Ids are sorted throughout: the real engine lists things in this order.
    by_type = grouped(facts.get("receptacletype", ()))
    return Setting(
        problem=problem,
        names=visible_names({i for rows in facts.values() for row in rows for i in row}),
        location=location,
        here=grouped(places),
        traits={trait: frozenset(i for (i,) in facts.get(trait, ())) for trait in _TRAITS},
        appliances={
            verb: frozenset(r for kind in kinds for r in by_type.get(kind, ()))
            for verb, (kinds, _) in APPLIANCES.items()
        },
        knives=frozenset(o for o, kind in facts.get("objecttype", ()) if kind in _KNIVES),
        fits=_fits(problem, by_type),
        contents=grouped(facts.get("inreceptacleobject", ())),
        ways={},
    )


def grouped(pairs: Iterable[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """First items by second item, sorted: `[(b, x), (a, x)]` gives `{x: (a, b)}`."""
    groups = defaultdict(list)
    for first, second in sorted(pairs):
        groups[second].append(first)
    return {key: tuple(group) for key, group in groups.items()}


def _fits(problem: Problem, by_type: dict[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    """Receptacles where some type `canContain` some type of the object, by object."""
    holders = {
        kind: frozenset(r for holder in holders for r in by_type.get(holder, ()))
        for kind, holders in grouped(problem.facts.get("cancontain", ())).items()
    }
    fits: dict[str, frozenset[str]] = {}
    for o, kind in problem.facts.get("objecttype", ()):
        fits[o] = fits.get(o, frozenset()) | holders.get(kind, frozenset())
    return fits
