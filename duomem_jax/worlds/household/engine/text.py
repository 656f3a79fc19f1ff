"""The sentences of ALFWorld's grammar (version 0.4: "move X to Y")."""

from duomem_jax.worlds.household.engine.names import enumerate_words
from duomem_jax.worlds.household.engine.setting import Setting
from duomem_jax.worlds.household.engine.state import State

NOTHING_HAPPENS = "Nothing happens."
WELCOME = "-= Welcome to TextWorld, ALFRED! =-"
HELP = """Available commands:
  look:                             look around your current location
  inventory:                        check your current inventory
  go to (receptacle):               move to a receptacle
  open (receptacle):                open a receptacle
  close (receptacle):               close a receptacle
  take (object) from (receptacle):  take an object from a receptacle
  move (object) to (receptacle):  place an object in or on a receptacle
  examine (something):              examine a receptacle or an object
  use (object):                     use an object
  heat (object) with (receptacle):  heat an object using a receptacle
  clean (object) with (receptacle): clean an object using a receptacle
  cool (object) with (receptacle):  cool an object using a receptacle
  slice (object) with (object):     slice an object using a sharp object
"""

# Adjectives in the grammar's order of precedence: the first row whose marks all hold.
_CONDITIONS = (
    (("isclean", "ishot", "issliced"), "hot and clean sliced"),
    (("isclean", "iscool", "issliced"), "cool and clean sliced"),
    (("isclean", "issliced"), "clean sliced"),
    (("ishot", "issliced"), "hot sliced"),
    (("iscool", "issliced"), "cool sliced"),
    (("isclean", "ishot"), "hot and clean"),
    (("isclean", "iscool"), "cool and clean"),
    (("ishot",), "hot"),
    (("isclean",), "clean"),
    # "cold" alone, though "cool" in company: so the grammar has it.
    (("iscool",), "cold"),
)


def _list(setting: Setting, ids) -> str:
    return enumerate_words(f"a {setting.names[i]}" for i in ids)


def intro(setting: Setting, state: State, task: str) -> str:
    """The first observation: the scene, and the sentence that states the task."""
    if state.place in setting.here:
        scene = look(setting, state)
    else:
        scene = _middle(_list(setting, setting.location))
    return f"{WELCOME}\n\n{scene}\n\nYour task is to: {task}"


def _middle(seen: str) -> str:
    return "You are in the middle of a room. Looking quickly around you, you see " + seen + "."


def look(setting: Setting, state: State) -> str:
    """What `look` says: the receptacles here, and what was taken out of one and left beside it."""
    here = setting.here.get(state.place)
    if not here:
        return _middle("nothing")
    # As in the real engine, what was on the floor from the start is never shown.
    beside = [
        o for o in sorted(state.lying.get(state.place, ())) for r in here if (o, r) in state.removed
    ]
    facing = enumerate_words(setting.names[r] for r in here)
    return f"You are facing the {facing}. Next to it, you see {_list(setting, beside)}."


def receptacle(setting: Setting, state: State, r: str) -> str:
    """The description of a receptacle and what one sees in or on it."""
    name = setting.names[r]
    if r not in setting.traits["openable"]:
        return f"On the {name}, you see {_list(setting, state.inside[r])}."
    if r not in state.opened:
        return f"The {name} is closed."
    return f"The {name} is open. In it, you see {_list(setting, state.inside[r])}."


def held_object(setting: Setting, state: State, o: str) -> str:
    """The description of the object in hand."""
    name = setting.names[o]
    # First, whatever was done to it: the grammar's order of precedence.
    if o in setting.traits["isreceptacleobject"]:
        inner = _list(setting, setting.contents.get(o, ()))
        return f"This is a normal {name}. In it, you see {inner}."
    for marks, adjective in _CONDITIONS:
        if all(o in state.marks[mark] for mark in marks):
            return f"This is a {adjective} {name}."
    if o in setting.traits["toggleable"] and o in state.marks["istoggled"]:
        return f"This {name} is on."
    if o in setting.traits["sliceable"] and o in state.marks["issliced"]:
        return f"This is a sliced {name}."
    return f"There's nothing special about {name}."


def inventory(setting: Setting, state: State) -> str:
    """What `inventory` says."""
    if state.held is None:
        return "You are not carrying anything."
    return f"You are carrying: a {setting.names[state.held]}."
