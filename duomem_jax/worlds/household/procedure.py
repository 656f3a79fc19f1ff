"""A procedure: the sub-goals that, done in order, solve a task.

The expert plays procedures, memories are scripts of them, and the tiny student learns to follow
written ones, so their sentences are kept in this one place.
"""

from dataclasses import dataclass

from duomem_jax.worlds.household.sentences import TREATMENTS, Goal

APPLIANCE = {t.verb: t.appliance for t in TREATMENTS.values()}
"""Verb that treats an object → the kind of receptacle that it needs."""


@dataclass(frozen=True)
class Subgoal:
    """One sub-goal. `verb`: find, clean, heat, cool, put, use, examine, open or inventory.

    `what` is the kind it is about: an object for find, a lamp for use, a receptacle for put and
    open, and empty for the others, which act on the object in hand.
    """

    verb: str
    what: str = ""
    second: bool = False

    def sentence(self) -> str:
        """How a written procedure says it."""
        match self.verb:
            # Banks hold these sentences, and the tiny student was trained on them.
            case "find":
                return f"find a {'second ' if self.second else ''}{self.what} and take it"
            case "use":
                return f"find a {self.what} and use it"
            case "put":
                return f"put it in a {self.what}"
            case "open":
                return f"open a {self.what}"
            case "clean" | "heat" | "cool":
                return f"{self.verb} it with a {APPLIANCE[self.verb]}"
            case "examine":
                return "examine it"
            case "inventory":
                return "check the inventory"
        raise ValueError(f"no such sub-goal: {self.verb}")

    def intention(self) -> str:
        """How a Thought announces it."""
        match self.verb:
            case "find":
                return f"find a {'second ' if self.second else ''}{self.what}"
            case "use":
                return f"find a {self.what}"
            case "put":
                return f"put it in {self.what}"
            case "open":
                return f"open a {self.what}"
            case "inventory":
                return "check the inventory"
        return f"{self.verb} it"


Procedure = tuple[Subgoal, ...]


def procedure_for(goal: Goal) -> Procedure:
    """The procedure that solves a task of one of the six types."""
    find = Subgoal("find", goal.object)
    put = Subgoal("put", goal.target)
    if goal.type == "look_at_obj_in_light":
        return (find, Subgoal("use", goal.target))
    if goal.type == "pick_two_obj_and_place":
        return (find, put, Subgoal("find", goal.object, second=True), put)
    if goal.type in TREATMENTS:
        return (find, Subgoal(TREATMENTS[goal.type].verb), put)
    return (find, put)


def script(procedure: Procedure) -> str:
    """The procedure as numbered sentences: `1. find a mug and take it. 2. …`."""
    return " ".join(f"{i}. {goal.sentence()}." for i, goal in enumerate(procedure, 1))
