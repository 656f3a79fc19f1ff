"""Questions that need several facts, or a little that everybody knows."""

from collections.abc import Iterator

from duomem_jax.records.dialogues import MULTI_HOP, OPEN_DOMAIN
from duomem_jax.worlds.dialogues.generate.asked import Asked, asked
from duomem_jax.worlds.dialogues.generate.cast import Person
from duomem_jax.worlds.dialogues.generate.moves import MANY
from duomem_jax.worlds.dialogues.generate.scene import Scene
from duomem_jax.worlds.dialogues.generate.timeline import EVENT, Event

LISTS = (*MANY, "book", "trip")


def questions(scene: Scene) -> Iterator[Asked]:
    """All of them."""
    for person in scene.cast.speakers:
        for slot in LISTS:
            yield from _list(scene, person, slot)
        yield from _through_an_event(scene, person)
    yield from _more(scene)
    for person in scene.cast.circle:
        yield from _through_a_value(scene, person)
    for event in list(scene.timeline.now()):
        yield from _with_common_sense(scene, event)


def _list(scene: Scene, person: Person, slot: str) -> Iterator[Asked]:
    every = scene.timeline.of(person, slot)
    now = [e for e in every if not e.over]
    ask = scene.tables["slots"][slot]["ask"]
    # Who has given up one has to be asked of too, or the list could be read off.
    if len(now) > 1 and "list" in ask:
        yield asked(scene, MULTI_HOP, ask["list"], now[0], _values(now), every, form="list")
    if len(every) > 1 and "ever" in ask and len(every) > len(now):
        yield asked(scene, MULTI_HOP, ask["ever"], every[0], _values(every), every, form="list")
    if len(every) > 1:
        templates = scene.tables["happenings"]["joins"]["count"].get(slot, [])
        if templates:
            yield asked(scene, MULTI_HOP, templates, every[0], str(len(every)), every, form="count")


def _values(events: list[Event]) -> str:
    return ", ".join(e.value for e in events)


def _through_an_event(scene: Scene, person: Person) -> Iterator[Asked]:
    """What is true of the one who did something."""
    table = scene.tables["happenings"]["joins"]["event"]
    for event in scene.timeline.of(person, EVENT):
        for slot, templates in table.items():
            for fact in scene.timeline.of(person, slot):
                if not fact.over:
                    both = (event, fact)
                    yield asked(scene, MULTI_HOP, templates, event, fact.value, both, form="event")


def _through_a_value(scene: Scene, person: Person) -> Iterator[Asked]:
    """What is true of the one who lives somewhere, or has some job."""
    table = scene.tables["happenings"]["joins"]["circle"]
    facts = {slot: scene.timeline.of(person, slot) for slot in ("city", "job", "instrument")}
    for key, templates in table.items():
        known, wanted = key.split("_")
        for start in facts[known]:
            for end in facts[wanted]:
                both = (start, end)
                yield asked(scene, MULTI_HOP, templates, start, end.value, both, form="circle")


def _more(scene: Scene) -> Iterator[Asked]:
    """Whose number is higher."""
    first, second = scene.cast.speakers
    for slot, templates in scene.tables["happenings"]["joins"]["more"].items():
        both = [*scene.timeline.of(first, slot), *scene.timeline.of(second, slot)]
        if len(both) == 2:
            most = max(both, key=lambda e: _amount(e.value))
            answer = most.person.name
            yield asked(scene, MULTI_HOP, templates, most, answer, both, form="more")


def _amount(value: str) -> int:
    return int(value.split()[0].replace(",", ""))


def _with_common_sense(scene: Scene, event: Event) -> Iterator[Asked]:
    table = scene.tables["happenings"]["inferences"]
    if event.slot not in table:
        return
    for field, rule in table[event.slot].items():
        if field in event.row:
            if not event.over:
                yield asked(scene, OPEN_DOMAIN, rule["ask"], event, event.row[field])
        elif field == "yes_no" and (key := rule["ended" if event.over else "true"]):
            # Who is allergic no more may still be on a diet that forbids it.
            if event.slot == "allergy" and event.over and scene.timeline.of(event.person, "diet"):
                continue
            yield asked(scene, OPEN_DOMAIN, rule["ask"], event, key)
