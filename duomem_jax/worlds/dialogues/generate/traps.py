"""Questions that the dialogue does not answer, though it tempts one to."""

from collections.abc import Iterator

from duomem_jax.records.dialogues import ADVERSARIAL
from duomem_jax.worlds.dialogues.generate.asked import Asked, asked
from duomem_jax.worlds.dialogues.generate.moves import MANY, ONCE, SINGLE
from duomem_jax.worlds.dialogues.generate.plain import detail_question
from duomem_jax.worlds.dialogues.generate.scene import Scene, words_of
from duomem_jax.worlds.dialogues.generate.timeline import (
    CANCELLED,
    DETAIL,
    EVENT,
    PLAN,
    Event,
)


def questions(scene: Scene) -> Iterator[Asked]:
    """All of them."""
    for event in list(scene.timeline.now()):
        # What is told of relatives has no counterpart on the other side.
        if event.person in scene.cast.speakers:
            yield from _of_the_other(scene, event)
        yield from _never_done(scene, event)
    yield from _unreal(scene)


def _of_the_other(scene: Scene, event: Event) -> Iterator[Asked]:
    """What one has told is asked of the other, who has told nothing of the kind."""
    other, table = scene.listener(event.person), scene.tables
    happenings = table["happenings"]
    if event.slot == DETAIL:
        templates = detail_question(scene, event)
        yield asked(scene, ADVERSARIAL, templates, event, event.value, of=other)
    if event.slot == EVENT and event.when is not None:
        templates = happenings["events"]["ask_when"]
        yield asked(scene, ADVERSARIAL, templates, event, event.when.key, of=other)
    if event.slot == PLAN and event.when is not None and not event.over:
        templates = happenings["plans"]["ask_plan"]
        yield asked(scene, ADVERSARIAL, templates, event, event.when.key, of=other)
    if event.slot not in (*SINGLE, *MANY, *ONCE) or event.over:
        return
    ask = table["slots"][event.slot]["ask"]
    none = not scene.timeline.of(other, event.slot)
    if none and event.slot in SINGLE:
        yield asked(scene, ADVERSARIAL, ask["now"], event, event.value, of=other)
    if none and "list" in ask:
        yield asked(scene, ADVERSARIAL, ask["list"], event, event.value, of=other)
    if event.slot in (*MANY, "book", "trip") and event.when is not None and "when" in ask:
        yield asked(scene, ADVERSARIAL, ask["when"], event, event.when.key, of=other)


def _never_done(scene: Scene, event: Event) -> Iterator[Asked]:
    """When something was done that was called off."""
    if event.slot == PLAN and event.move == CANCELLED and event.when is not None:
        templates = scene.tables["happenings"]["plans"]["ask_done"][:1]
        history = scene.timeline.history(event.about)
        yield asked(scene, ADVERSARIAL, templates, event, event.when.key, history)


def _unreal(scene: Scene) -> Iterator[Asked]:
    """What was only wished, dreamt, joked or quoted is asked for as if it were so."""
    for person, slot, value, turn in scene.unreal:
        # Of who has moved, or has a car, the question has an answer.
        if slot in ("job", "city") or not scene.timeline.of(person, slot):
            templates = scene.tables["chat"]["unreal"][slot]["question"]
            words = words_of(person, {"v": value})
            text = scene.draw.pick(templates).format(**words)
            yield Asked(ADVERSARIAL, text, value, (turn,), "unreal")
