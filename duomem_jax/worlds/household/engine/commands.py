"""Which commands do something, verb by verb.

A block is the commands of one verb, each with the ids it acts on. After an action only the blocks
of `REFRESH` are written anew; the list of admissible commands is the blocks one after another.
"""

from collections.abc import Callable, Iterator

from duomem_jax.worlds.household.engine.layout import APPLIANCES, Layout
from duomem_jax.worlds.household.engine.state import State

Block = dict[str, tuple[str, ...]]


def _here(layout: Layout, state: State) -> tuple[str, ...]:
    return layout.here.get(state.place, ())


def accessible(layout: Layout, state: State) -> Iterator[str]:
    """Receptacles here that one can reach into: open, or without a door."""
    doors = layout.traits["openable"]
    return (r for r in _here(layout, state) if r not in doors or r in state.opened)


def _go(layout: Layout, state: State) -> Block:
    ways = layout.ways.get(state.place)
    if ways is None:
        ways = layout.ways[state.place] = {
            f"go to {layout.names[r]}": (r,)
            for r, place in layout.location.items()
            if place != state.place
        }
    return ways


def _examine(layout: Layout, state: State) -> Block:
    block: Block = {f"examine {layout.names[r]}": (r,) for r in _here(layout, state)}
    if state.held is not None:
        block[f"examine {layout.names[state.held]}"] = (state.held,)
    return block


def _open(layout: Layout, state: State) -> Block:
    doors = layout.traits["openable"] - state.opened
    return {f"open {layout.names[r]}": (r,) for r in _here(layout, state) if r in doors}


def _close(layout: Layout, state: State) -> Block:
    doors = layout.traits["openable"] & state.opened
    return {f"close {layout.names[r]}": (r,) for r in _here(layout, state) if r in doors}


def _take(layout: Layout, state: State) -> Block:
    if state.held is not None:
        return {}
    names = layout.names
    pickupable = layout.traits["pickupable"]
    return {
        f"take {names[o]} from {names[r]}": (o, r)
        for r in accessible(layout, state)
        for o in state.inside[r]
        if o in pickupable
    }


def _move(layout: Layout, state: State) -> Block:
    o = state.held
    if o is None:
        return {}
    names = layout.names
    fits = layout.fits.get(o, frozenset())
    return {
        f"move {names[o]} to {names[r]}": (o, r) for r in accessible(layout, state) if r in fits
    }


def _use(layout: Layout, state: State) -> Block:
    # Doors do not matter: a lamp in a closed receptacle can be switched.
    toggleable = layout.traits["toggleable"]
    return {
        f"use {layout.names[o]}": (o,)
        for r in _here(layout, state)
        for o in state.inside[r]
        if o in toggleable
    }


def _treat(verb: str) -> Callable[[Layout, State], Block]:
    """Block of `clean`, `cool` or `heat`: the appliance need not be open."""
    trait = APPLIANCES[verb][1]

    def block(layout: Layout, state: State) -> Block:
        o = state.held
        if o is None or o not in layout.traits[trait]:
            return {}
        names = layout.names
        return {
            f"{verb} {names[o]} with {names[r]}": (o, r)
            for r in _here(layout, state)
            if r in layout.appliances[verb]
        }

    return block


def _slice(layout: Layout, state: State) -> Block:
    knife = state.held
    if knife is None or knife not in layout.knives:
        return {}
    names = layout.names
    sliceable = layout.traits["sliceable"]
    return {
        f"slice {names[o]} with {names[knife]}": (o, knife)
        for o in state.lying.get(state.place, ())
        if o in sliceable
    }


def _always(verb: str) -> Callable[[Layout, State], Block]:
    block: Block = {verb: ()}
    return lambda layout, state: block


# In alphabetical order, so that sorted blocks one after another are sorted as a whole.
BLOCKS: dict[str, Callable[[Layout, State], Block]] = {
    "clean": _treat("clean"),
    "close": _close,
    "cool": _treat("cool"),
    "examine": _examine,
    "go": _go,
    "heat": _treat("heat"),
    "help": _always("help"),
    "inventory": _always("inventory"),
    "look": _always("look"),
    "move": _move,
    "open": _open,
    "slice": _slice,
    "take": _take,
    "use": _use,
}

_HAND = ("clean", "cool", "examine", "heat", "move", "slice", "take", "use")
# The blocks that an action can change.
REFRESH: dict[str, tuple[str, ...]] = {
    "go": (*_HAND, "close", "go", "open"),
    "open": ("close", "move", "open", "take"),
    "close": ("close", "move", "open", "take"),
    "take": _HAND,
    "move": _HAND,
}
