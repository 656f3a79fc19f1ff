"""A whole dialogue from a seed: its people, its sessions, its questions."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from duomem_jax.base.draw import Draw
from duomem_jax.records.dialogues import Dialogue
from duomem_jax.worlds.dialogues.generate import happenings, idle, moves
from duomem_jax.worlds.dialogues.generate.cast import Cast, Person
from duomem_jax.worlds.dialogues.generate.questions import ask
from duomem_jax.worlds.dialogues.generate.scene import Scene
from duomem_jax.worlds.dialogues.generate.size import Size
from duomem_jax.worlds.dialogues.generate.tables import tables
from duomem_jax.worlds.dialogues.generate.timeline import Timeline

# What comes up how often.
MOVES: dict[Callable[[Scene], bool], int] = {
    moves.first: 24,
    moves.change: 26,
    moves.end: 10,
    moves.again: 13,
    moves.once: 7,
    moves.of_others: 14,
    happenings.event: 12,
    happenings.event_again: 3,
    happenings.plan: 6,
    happenings.plan_again: 12,
    happenings.opinion: 6,
    idle.small_talk: 12,
    idle.unreal: 6,
}
_FIRST_DAY = datetime.date(2023, 6, 1)
_DAYS = 730  # in which dialogues begin
_GAP = (4, 40)  # days from one session to the next
_LEAD = 25  # days before the first session whose news are still told


@dataclass(frozen=True)
class Story:
    """A dialogue, and what is true in it.

    Attributes:
        dialogue: what is said, noted and asked.
        timeline: all that became true, in the order in which it was told.
        speakers: the two people.
    """

    dialogue: Dialogue
    timeline: Timeline
    speakers: tuple[Person, Person]


def generate_dialogue(
    seed: int, index: int, size: Size = Size(), held_out: bool = False
) -> Dialogue:
    """Dialogue `index` of a seed: the same in every process, on every machine.

    Args:
        seed: of a set of dialogues.
        index: of the dialogue in it.
        size: how long it is.
        held_out: made of names, values and phrasings that no training dialogue has.
    """
    return generate_story(seed, index, size, held_out).dialogue


def generate_story(seed: int, index: int, size: Size = Size(), held_out: bool = False) -> Story:
    """As `generate_dialogue`, with what is true in it beside it."""
    side = "held-out" if held_out else "train"
    draw = Draw(f"dialogue {side} {seed} {index}")
    scene = Scene(draw, tables(held_out), Cast(draw, held_out))
    day = _FIRST_DAY + datetime.timedelta(days=draw.below(_DAYS))
    scene.before = day - datetime.timedelta(days=_LEAD)
    for _ in range(size.sessions):
        _session(scene, day, size.turns + draw.between(-2, 2))
        scene.before, day = day, day + datetime.timedelta(days=draw.between(*_GAP))
    first, second = scene.cast.speakers
    dialogue = Dialogue(
        # Sets of two sizes may be used together.
        id=f"{side}-{size.sessions}x{size.turns}-{seed}-{index}",
        speakers=(first.name, second.name),
        sessions=scene.talk.sessions(),
        facts=tuple(scene.talk.facts),
        questions=ask(scene, size.questions),
    )
    return Story(dialogue, scene.timeline, scene.cast.speakers)


def _session(scene: Scene, day: datetime.date, turns: int) -> None:
    draw, chat = scene.draw, scene.tables["chat"]
    clock = datetime.time(draw.between(8, 21), draw.below(60))
    scene.begin(day, f"{datetime.datetime.combine(day, clock).isoformat()}Z")
    _frame(scene, scene.fresh(chat["hello"]), draw.pick(scene.cast.speakers))
    while scene.talk.length < turns - 2:
        _topic(scene)
    _frame(scene, scene.fresh(chat["bye"]), draw.pick(scene.cast.speakers))


def _topic(scene: Scene) -> None:
    left = dict(MOVES)
    while not (move := scene.draw.weighted(left))(scene):
        # Small talk is always possible, so one is left.
        del left[move]


def _frame(scene: Scene, turns: list[str], first: Person) -> None:
    people = (first, scene.listener(first))
    words = {"A": people[0].name, "B": people[1].name}
    for person, text in zip(people, turns, strict=True):
        scene.talk.say(person.name, text.format(**words))
