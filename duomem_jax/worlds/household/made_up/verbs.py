"""Made-up verbs: words that no model has seen, each with a procedure of its own.

Lessons write the procedure in the context. From them a student learns to follow what is written and
to carry it over to other objects and places, while the six procedures of the real task types never
occur.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from duomem_jax.worlds.household.game import TASK_TYPES
from duomem_jax.worlds.household.procedure import Procedure, Subgoal, procedure_for
from duomem_jax.worlds.household.sentences import TREATMENTS, Goal

_ONSETS = ("bl", "d", "dr", "f", "g", "gl", "k", "l", "m", "n", "p", "pl", "r", "s", "t", "v", "z")
_RHYMES = ("ack", "ax", "ed", "eem", "ib", "ick", "im", "ob", "op", "ub", "um", "uv")


def made_up_words(count: int = 80) -> list[str]:
    """The fixed pool of made-up words; none is a word of the household world."""
    # Always the same words: the shipped tokenizers have a token for each.
    words = [onset + rhyme for onset in _ONSETS for rhyme in _RHYMES]
    random.Random(0).shuffle(words)
    return sorted(words[:count])


@dataclass(frozen=True)
class Verb:
    """A made-up task type: its procedure with blanks, and how its sentence is worded.

    Attributes:
        skeleton: sub-goals in which `what` is `object`, `target` or `lamp`, or empty.
        sentence: the task sentence with `{object}` and, if the procedure has one, `{target}`.
    """

    skeleton: Procedure
    sentence: str

    def fill(self, kinds: dict[str, str]) -> tuple[str, Procedure]:
        """(task sentence, procedure) for given kinds of `object`, `target` and `lamp`."""
        procedure = tuple(
            Subgoal(goal.verb, kinds[goal.what] if goal.what else "", goal.second)
            for goal in self.skeleton
        )
        return self.sentence.format(**kinds), procedure


def _real_skeletons() -> set[Procedure]:
    """The procedures a made-up verb must never have."""
    # In a skeleton a lamp has a blank of its own, not that of the receptacle.
    real = {procedure_for(Goal(t, "object", "target")) for t in TASK_TYPES}
    lamp = procedure_for(Goal("look_at_obj_in_light", "object", "lamp"))
    return real | {lamp}


REAL_SKELETONS = _real_skeletons()


def shares_step(procedure: Procedure, without: str) -> bool:
    """Whether a procedure has the step that sets some real tasks apart from the others.

    Args:
        procedure: a skeleton, or one that names things and places.
        without: a type of tasks, or a kind of receptacles that tasks put things into. Plain putting
            has no step of its own: what it does, nearly all others do. Nor has "".
    """
    if without == "look_at_obj_in_light":
        return any(goal.verb == "use" for goal in procedure)
    if without == "pick_two_obj_and_place":
        return any(goal.second for goal in procedure)
    if without in TREATMENTS:
        return any(goal.verb == TREATMENTS[without].verb for goal in procedure)
    return any(goal.verb == "put" and goal.what == without for goal in procedure)


def _body(rng: random.Random, capable: Sequence[str], lamp: bool) -> list[Subgoal]:
    """What is done with the object in hand: up to three different things in any order."""
    options = [Subgoal(verb) for verb in capable]
    options += [Subgoal("examine"), Subgoal("inventory")]
    if lamp:
        # Listed twice: twice as likely as examining.
        options += [Subgoal("use", "lamp")] * 2
    weights = [3] * len(capable) + [1] * (len(options) - len(capable))
    size = rng.choices((0, 1, 2, 3), (2, 5, 3, 1))[0]
    body: list[Subgoal] = []
    for goal in rng.choices(options, weights, k=size):
        if goal not in body:
            body.append(goal)
    return body


def _skeleton(
    rng: random.Random, capable: Sequence[str], *, target: bool, lamp: bool, two: bool
) -> Procedure:
    find = Subgoal("find", "object")
    put = Subgoal("put", "target")
    goals = [find, *_body(rng, capable, lamp)]
    if target:
        goals.append(put)
        if two and rng.random() < 0.4:
            second = Subgoal("find", "object", second=True)
            goals += [second, *_body(rng, capable, lamp), put]
        elif rng.random() < 0.15:
            goals.append(rng.choice([Subgoal("inventory"), find]))
    if lamp and rng.random() < 0.15:
        goals.insert(0, Subgoal("use", "lamp"))
    return tuple(goals)


def sample_verb(
    rng: random.Random, capable: Sequence[str], *, target: bool, lamp: bool, two: bool
) -> Verb:
    """A random made-up verb whose procedure is none of the six real ones.

    Args:
        rng: source of randomness.
        capable: which of clean, heat and cool the object admits in this room.
        target: whether the task names a receptacle to put the object in.
        lamp: whether the room has a lamp.
        two: whether the room has two of the object.
    """
    while True:  # the real ones are few, so this seldom takes a second draw
        skeleton = _skeleton(rng, capable, target=target, lamp=lamp, two=two)
        if skeleton not in REAL_SKELETONS:
            break
    return Verb(skeleton, _sentence(rng, skeleton))


def _sentence(rng: random.Random, skeleton: Procedure) -> str:
    """A wording of the same shapes as the real ones, in made-up words."""
    first, second = rng.sample(made_up_words(), 2)
    # A sentence names what the procedure is about; without target and lamp only the object.
    verbs = [goal.what for goal in skeleton]
    where = rng.choice(("in", "on"))
    if any(goal.second for goal in skeleton):
        forms = [
            f"{first} two {{object}} {where} {{target}}.",
            f"{first} two {{object}} and {second} them {where} {{target}}.",
        ]
    elif "target" in verbs:
        forms = [
            f"{first} a {second} {{object}} {where} {{target}}.",
            f"{first} some {{object}} and {second} it {where} {{target}}.",
            f"{first} some {{object}} {where} {{target}}.",
            f"{first} a {{object}} {where} {{target}}.",
        ]
    elif "lamp" in verbs:
        forms = [
            f"{first} at {{object}} under the {{lamp}}.",
            f"{first} the {{object}} with the {{lamp}}.",
        ]
    else:
        forms = [f"{first} the {{object}}.", f"{first} some {{object}}."]
    return rng.choice(forms)
