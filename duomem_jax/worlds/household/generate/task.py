"""Choose a task: its words, its goal, and what it asks of the room."""

import random
from dataclasses import dataclass

from duomem_jax.worlds.household.generate.odds import RoomOdds, draw, weighted
from duomem_jax.worlds.household.generate.room import RoomNeeds
from duomem_jax.worlds.household.generate.statistics import (
    APPLIANCES,
    LAMP_TASK,
    TWO_TASK,
    needed_kinds,
    shipped,
)

# Both wordings of a type are equally frequent in the real games.
_WORDS = {
    "pick_and_place_simple": ("put a {o} in {r}.", "put some {o} on {r}."),
    "look_at_obj_in_light": ("look at {o} under the {r}.", "examine the {o} with the {r}."),
    "pick_clean_then_place_in_recep": (
        "put a clean {o} in {r}.",
        "clean some {o} and put it in {r}.",
    ),
    "pick_heat_then_place_in_recep": ("put a hot {o} in {r}.", "heat some {o} and put it in {r}."),
    "pick_cool_then_place_in_recep": ("put a cool {o} in {r}.", "cool some {o} and put it in {r}."),
    "pick_two_obj_and_place": ("put two {o} in {r}.", "find two {o} and put them in {r}."),
}
_STATES = {
    "pick_and_place_simple": "",
    "pick_clean_then_place_in_recep": "(cleanable ?o) (isClean ?o) ",
    "pick_heat_then_place_in_recep": "(heatable ?o) (isHot ?o) ",
    "pick_cool_then_place_in_recep": "(coolable ?o) (isCool ?o) ",
}
_PLACE_GOAL = (
    "(and (exists (?r - receptacle) (exists (?o - object) (and {states}(objectType ?o {o}Type) "
    "(receptacleType ?r {r}Type) (inReceptacle ?o ?r)))))"
)
_TWO_GOAL = (
    "(and (exists (?r - receptacle) (exists (?o1 - object) (and (objectType ?o1 {o}Type) "
    "(receptacleType ?r {r}Type) (inReceptacle ?o1 ?r) (exists (?o2 - object) (and "
    "(not (= ?o1 ?o2)) (objectType ?o2 {o}Type) (receptacleType ?r {r}Type) "
    "(inReceptacle ?o2 ?r)))))))"
)
_LAMP_GOAL = (
    "(and (exists (?ot - object ?r - receptacle ?a - agent ?l - location) (and "
    "(objectType ?ot {r}Type) (toggleable ?ot) (isToggled ?ot) (receptacleAtLocation ?r ?l) "
    "(atLocation ?a ?l) (inReceptacle ?ot ?r))) (exists (?o - object ?a - agent) (and "
    "(objectType ?o {o}Type) (holds ?a ?o))))"
)


@dataclass(frozen=True)
class WrittenTask:
    """A task with its words: `kind` is what to handle, `target` the receptacle or lamp kind."""

    type: str
    kind: str
    target: str
    words: str

    @property
    def goal(self) -> str:
        """PDDL condition; the same logical form as the real games of this type have."""
        if self.type == LAMP_TASK:
            form = _LAMP_GOAL
        elif self.type == TWO_TASK:
            form = _TWO_GOAL
        else:
            form = _PLACE_GOAL.replace("{states}", _STATES[self.type])
        return form.format(o=self.kind, r=self.target)


def choose_task(rng: random.Random, odds: RoomOdds, task_type: str) -> WrittenTask:
    """Draw object and target of a task of this type as often as real games ask for them."""
    target, kind = draw(rng, odds.tasks[task_type])
    words = rng.choice(_WORDS[task_type]).format(o=kind.lower(), r=target.lower())
    return WrittenTask(task_type, kind, target, words)


def draw_needs(rng: random.Random, task: WrittenTask) -> RoomNeeds:
    """What the room must hold: enough to solve the task, and not to have it solved already."""
    receptacles, _ = needed_kinds(task.type, task.kind, task.target)
    numbers = {int(n): weight for n, weight in shipped()["targets"][task.type].items()}
    # As many as real games of the type have; all of them where they can be taken.
    things = {task.kind: draw(rng, weighted(numbers))}
    if task.type == LAMP_TASK:
        things[task.target] = 1
    # In real games nothing that is wanted starts where it would be treated, or else put.
    return RoomNeeds(receptacles, things, (task.kind, APPLIANCES.get(task.type, task.target)))
