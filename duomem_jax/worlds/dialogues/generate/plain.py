"""Questions that one fact answers: what is, what was before, when it was."""

from collections.abc import Iterator

from duomem_jax.records.dialogues import SINGLE_HOP, TEMPORAL
from duomem_jax.worlds.dialogues.generate.asked import Asked, asked
from duomem_jax.worlds.dialogues.generate.dates import DAY
from duomem_jax.worlds.dialogues.generate.moves import MANY, ONCE, SINGLE
from duomem_jax.worlds.dialogues.generate.scene import Scene
from duomem_jax.worlds.dialogues.generate.timeline import (
    DETAIL,
    DONE,
    EVENT,
    MOVED,
    OPINION,
    PLAN,
    PLANNED,
    Event,
)


def questions(scene: Scene) -> Iterator[Asked]:
    """All of them."""
    for event in list(scene.timeline.now()):
        if event.slot in (*SINGLE, *MANY, *ONCE):
            yield from _of_slot(scene, event)
        else:
            yield from _of_happening(scene, event)


def _of_slot(scene: Scene, event: Event) -> Iterator[Asked]:
    ask = scene.tables["slots"][event.slot]["ask"]
    if event.over:
        assert event.when is not None
        if "ended" in ask:
            yield asked(scene, TEMPORAL, ask["ended"], event, event.when.key)
    elif "now" in ask:
        yield asked(scene, SINGLE_HOP, ask["now"], event, event.value)
    if "still" in ask and _checked(scene, event):
        answer = "No" if event.over else "Yes"
        yield asked(scene, SINGLE_HOP, ask["still"], event, answer, _tellings(scene, event))
    if event.when is not None and not event.over and "when" in ask:
        yield asked(scene, TEMPORAL, ask["when"], event, event.when.key)
    if event.old and "before" in ask:
        history = scene.timeline.history(event.about)
        yield asked(scene, TEMPORAL, ask["before"], event, event.old, history[-2:])
    if event.slot == "pet" and not event.over:
        if len(scene.timeline.of(event.person, "pet")) == 1:
            yield asked(scene, SINGLE_HOP, ask["name"], event, event.value)
        yield asked(scene, SINGLE_HOP, ask["kind"], event, event.row["kind"])
    if event.slot == "age" and event.when is not None:
        yield asked(scene, SINGLE_HOP, ask["turned"], event, event.value)


def _of_happening(scene: Scene, event: Event) -> Iterator[Asked]:
    table = scene.tables["happenings"]
    if event.slot == EVENT and event.when is not None:
        yield asked(scene, TEMPORAL, table["events"]["ask_when"], event, event.when.key)
        yield from _days_between(scene, event)
    if event.slot == DETAIL:
        yield asked(scene, SINGLE_HOP, detail_question(scene, event), event, event.value)
    if event.slot == PLAN and event.when is not None:
        if event.move in (PLANNED, MOVED):
            yield asked(scene, TEMPORAL, table["plans"]["ask_plan"], event, event.when.key)
        if event.move == DONE:
            yield asked(scene, TEMPORAL, table["plans"]["ask_done"], event, event.when.key)
    if event.slot == OPINION:
        yield asked(scene, SINGLE_HOP, table["opinions"]["ask_now"], event, event.value)


def detail_question(scene: Scene, event: Event) -> list[str]:
    """Ways to ask for the detail of what happened."""
    rows = scene.tables["happenings"]["events"]["rows"]
    found: list[str] = next(r["question"] for r in rows if r["past"] == event.row["past"])
    return found


def _checked(scene: Scene, event: Event) -> bool:
    """Whether it ended, or was told of again: "still" asks for more than a first mention."""
    return event.over or scene.timeline.last_told(event.about) > event.session


def _tellings(scene: Scene, event: Event) -> list[Event]:
    told = scene.timeline.tellings(event.about)
    return [told[-1]]


def _days_between(scene: Scene, late: Event) -> Iterator[Asked]:
    """How many days lie between two things that somebody did, both told to the day."""
    assert late.when is not None
    if late.when.grain != DAY:
        return
    for early in scene.timeline.of(late.person, EVENT):
        if early.when is None or early.when.grain != DAY:
            continue
        days = (late.when.day - early.when.day).days
        if days > 1:
            text = asked(scene, TEMPORAL, ["{X} {past}"], early, "").text
            templates = scene.tables["happenings"]["events"]["ask_between"]
            templates = [t.replace("{early}", text) for t in templates]
            yield asked(scene, TEMPORAL, templates, late, f"{days} days", (early, late))
            return
