"""A question while it is being made."""

from collections.abc import Sequence
from dataclasses import dataclass

from duomem_jax.worlds.dialogues.generate.cast import Person
from duomem_jax.worlds.dialogues.generate.happenings import event_words, in_third_person
from duomem_jax.worlds.dialogues.generate.scene import Scene, words_of
from duomem_jax.worlds.dialogues.generate.timeline import Event
from duomem_jax.worlds.dialogues.generate.wording import capital


@dataclass(frozen=True)
class Asked:
    """A question.

    Attributes:
        answer: the key, or the trap of an adversarial one.
        evidence: ids of turns, in any order, repeated or not.
        form: what sort of question of its kind.
    """

    kind: str
    text: str
    answer: str
    evidence: tuple[str, ...]
    form: str


def asked(
    scene: Scene,
    kind: str,
    templates: Sequence[str],
    event: Event,
    answer: str,
    evidence: Sequence[Event] = (),
    of: Person | None = None,
    form: str = "",
) -> Asked:
    """A question on an event, in one of several wordings.

    Args:
        evidence: the events that the answer rests on, where it is not this one alone.
        of: whom it is asked of, where that is somebody else.
        form: what sort of question; "": one on its slot.
    """
    words = words_of(of or event.person, event.row, event.old, event.when)
    if "past" in event.row:
        words = in_third_person(event_words(of or event.person, event.row, event.when))
    first, second = (speaker.name for speaker in scene.cast.speakers)
    words |= {"teller": event.person.teller, "first": first, "second": second}
    text = capital(scene.draw.pick(templates).format(**words))
    turns = tuple(turn for e in (evidence or (event,)) for turn in e.turns)
    return Asked(kind, text, answer, turns, form or event.slot)
