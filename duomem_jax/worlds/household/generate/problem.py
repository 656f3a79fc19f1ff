"""Write a room and a goal as a PDDL problem of ALFWorld's domain."""

import functools

from duomem_jax.worlds.household.generate.room import Room
from duomem_jax.worlds.household.generate.statistics import shipped
from duomem_jax.worlds.household.generate.task import WrittenTask

_AGENT = "agent1"


def problem_text(name: str, task: WrittenTask, room: Room) -> str:
    """The whole problem: declarations, initial facts, goal."""
    declared, facts = _receptacles(room)
    more_declared, more_facts = _things(room, task)
    places = {room.start.id, *(r.place.id for r in room.receptacles)}
    places.update(t.place.id for t in room.things)
    lines = [
        f"(define (problem plan_{name})",
        "(:domain alfred)",
        "(:objects",
        f"{_AGENT} - agent",
        *_types(),
        *declared,
        *more_declared,
        *(f"{i} - location" for i in sorted(places)),
        ")",
        "(:init",
        *facts,
        *more_facts,
        f"(atLocation {_AGENT} {room.start.id})",
        ")",
        f"(:goal {task.goal})",
        ")",
    ]
    return "\n".join(lines) + "\n"


@functools.cache
def _types() -> list[str]:
    """Declarations of the types of all rooms: the domain names some that a room may not have."""
    rooms = shipped()["rooms"].values()
    return [
        f"{kind}Type - {sort}"
        for sort, table in (("otype", "objects"), ("rtype", "receptacles"))
        for kind in sorted({k for room in rooms for k in room[table]})
    ]


def _receptacles(room: Room) -> tuple[list[str], list[str]]:
    """Declarations and facts of the receptacles and of what they can contain."""
    declared, facts = [], []
    for r in room.receptacles:
        declared.append(f"{r.id} - receptacle")
        facts.append(f"(receptacleType {r.id} {r.kind}Type)")
        facts.append(f"(receptacleAtLocation {r.id} {r.place.id})")
        if r.openable:
            facts.append(f"(openable {r.id})")
    present = {t.kind for t in room.things}
    # Between types, not things: once for each kind of receptacle in the room.
    for k in sorted({r.kind for r in room.receptacles}):
        held = shipped()["can_contain"].get(k, [])
        facts += [f"(canContain {k}Type {o}Type)" for o in held if o in present]
    return declared, facts


def _things(room: Room, task: WrittenTask) -> tuple[list[str], list[str]]:
    """Declarations and facts of the objects."""
    declared, facts = [], []
    for t in room.things:
        declared.append(f"{t.id} - object")
        facts.append(f"(objectType {t.id} {t.kind}Type)")
        facts.append(f"(objectAtLocation {t.id} {t.place.id})")
        facts += [f"({p} {t.id})" for p in shipped()["properties"].get(t.kind, ())]
        if t.receptacle:
            facts.append(f"(inReceptacle {t.id} {t.receptacle.id})")
            # As in the real games: of all that lies in a fridge only what is wanted is cool.
            if t.receptacle.kind == "Fridge" and t.kind == task.kind:
                facts.append(f"(isCool {t.id})")
    return declared, facts
