"""Which commands do something, verb by verb.

A block is the commands of one verb, each with the ids it acts on. After an action only the blocks
of `REFRESH` are rebuilt; the list of admissible commands is the blocks one after another.
"""

from collections.abc import Callable, Iterator

from duomem_jax.worlds.household.engine.setting import APPLIANCES, Setting
from duomem_jax.worlds.household.engine.state import State

Block = dict[str, tuple[str, ...]]


def _here(setting: Setting, state: State) -> tuple[str, ...]:
    return setting.here.get(state.place, ())


def accessible(setting: Setting, state: State) -> Iterator[str]:
    """Receptacles here that one can reach into: open, or without a door."""
    doors = setting.traits["openable"]
    return (r for r in _here(setting, state) if r not in doors or r in state.opened)


def _go(setting: Setting, state: State) -> Block:
    # The longest block, and the same whenever the player is back at a place: kept in the setting.
    ways = setting.ways.get(state.place)
    if ways is None:
        ways = setting.ways[state.place] = {
            f"go to {setting.names[r]}": (r,)
            for r, place in setting.location.items()
            if place != state.place
        }
    return ways


def _examine(setting: Setting, state: State) -> Block:
    # Of objects only the one in hand: a comma in the real domain disables the rule for the others.
    block: Block = {f"examine {setting.names[r]}": (r,) for r in _here(setting, state)}
    if state.held is not None:
        block[f"examine {setting.names[state.held]}"] = (state.held,)
    return block


def _open(setting: Setting, state: State) -> Block:
    doors = setting.traits["openable"] - state.opened
    return {f"open {setting.names[r]}": (r,) for r in _here(setting, state) if r in doors}


def _close(setting: Setting, state: State) -> Block:
    doors = setting.traits["openable"] & state.opened
    return {f"close {setting.names[r]}": (r,) for r in _here(setting, state) if r in doors}


def _take(setting: Setting, state: State) -> Block:
    if state.held is not None:
        return {}
    names = setting.names
    pickupable = setting.traits["pickupable"]
    return {
        f"take {names[o]} from {names[r]}": (o, r)
        for r in accessible(setting, state)
        for o in state.inside[r]
        if o in pickupable
    }


def _move(setting: Setting, state: State) -> Block:
    o = state.held
    if o is None:
        return {}
    names = setting.names
    fits = setting.fits.get(o, frozenset())
    return {
        f"move {names[o]} to {names[r]}": (o, r) for r in accessible(setting, state) if r in fits
    }


def _use(setting: Setting, state: State) -> Block:
    # Doors do not matter: a lamp in a closed receptacle can be switched.
    toggleable = setting.traits["toggleable"]
    return {
        f"use {setting.names[o]}": (o,)
        for r in _here(setting, state)
        for o in state.inside[r]
        if o in toggleable
    }


def _treat(verb: str) -> Callable[[Setting, State], Block]:
    """Block of `clean`, `cool` or `heat`: the appliance need not be open."""
    trait = APPLIANCES[verb][1]

    def block(setting: Setting, state: State) -> Block:
        o = state.held
        if o is None or o not in setting.traits[trait]:
            return {}
        names = setting.names
        return {
            f"{verb} {names[o]} with {names[r]}": (o, r)
            for r in _here(setting, state)
            if r in setting.appliances[verb]
        }

    return block


def _slice(setting: Setting, state: State) -> Block:
    knife = state.held
    if knife is None or knife not in setting.knives:
        return {}
    names = setting.names
    sliceable = setting.traits["sliceable"]
    return {
        f"slice {names[o]} with {names[knife]}": (o, knife)
        for o in state.lying.get(state.place, ())
        if o in sliceable
    }


def _always(verb: str) -> Callable[[Setting, State], Block]:
    block: Block = {verb: ()}
    return lambda setting, state: block


# In alphabetical order, so that sorted blocks one after another are sorted as a whole.
BLOCKS: dict[str, Callable[[Setting, State], Block]] = {
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
# The blocks that an action can change. Verbs that are missing here, such as `heat` or `look`,
# change what is true, but not what can be done.
REFRESH: dict[str, tuple[str, ...]] = {
    "go": (*_HAND, "close", "go", "open"),
    # Doors matter to reaching in only: appliances work, and lamps switch, behind closed ones.
    "open": ("close", "move", "open", "take"),
    "close": ("close", "move", "open", "take"),
    "take": _HAND,
    "move": _HAND,
}
