"""Moves on what happens once: events with details and corrections, plans, opinions."""

import datetime

from duomem_jax.worlds.dialogues.generate.cast import Person, Row
from duomem_jax.worlds.dialogues.generate.dates import (
    DAY,
    MONTH,
    YEAR,
    When,
    month_end,
    planned,
    told,
    told_again,
    told_by_day,
    told_year,
)
from duomem_jax.worlds.dialogues.generate.moves import day_since
from duomem_jax.worlds.dialogues.generate.scene import (
    FUTURE,
    GOOD,
    KNOWN,
    NEUTRAL,
    REMEMBERED,
    Scene,
    words_of,
)
from duomem_jax.worlds.dialogues.generate.timeline import (
    AGAIN,
    CANCELLED,
    CHANGE,
    DETAIL,
    DONE,
    EVENT,
    FIXED,
    MOVED,
    OPINION,
    PLAN,
    PLANNED,
    START,
    STATE,
    Event,
)
from duomem_jax.worlds.dialogues.generate.wording import capital, forms

_ONE = datetime.timedelta(days=1)


def event(scene: Scene) -> bool:
    """Something that happened, at times with a detail, at times corrected."""
    table = scene.tables["happenings"]["events"]
    free = [r for r in table["rows"] if not _used(scene, EVENT, r["past"])]
    when = day_since(scene)
    if not free or when is None:
        return False
    person, happening = scene.draw.pick(scene.cast.speakers), scene.draw.pick(free)
    if scene.draw.chance(0.15):
        year = scene.today.replace(year=scene.today.year - scene.draw.between(1, 6), day=1)
        when = told_year(year, scene.draw)
    wrong = _wrong_day(scene, when)
    row = {"v": happening["past"], "past": happening["past"], "base": happening["base"]}
    first = _tell_event(scene, person, row, wrong or when, happening)
    asked = scene.draw.chance(0.7)
    if asked:
        _detail(scene, person, row, happening, first.turns, once=wrong is not None)
    else:
        recent = when.grain != YEAR
        mood = happening.get("mood", GOOD) if recent else NEUTRAL
        scene.react(person, mood, asks=wrong is None)
    if wrong is not None:
        _correct_day(scene, first, wrong, when)
    return True


def event_again(scene: Scene) -> bool:
    """Something that happened, told once more."""
    now = scene.timeline.now()
    found = [e for e in now if e.slot == EVENT and _earlier(scene, e)]
    if not found:
        return False
    last = scene.draw.pick(found)
    assert last.when is not None
    table, said = scene.tables["happenings"]["events"], told_again(last.when, scene.today)
    words = event_words(last.person, last.row, last.when, said)
    turns = scene.tell(last.person, table["again"], [], words, "again")
    told_now = scene.happened(AGAIN, last.person, last.about, last.row, turns, when=last.when)
    scene.note(told_now, table["note"], in_third_person(words), last.when.key)
    scene.react(last.person, REMEMBERED)
    return True


def plan(scene: Scene) -> bool:
    """Something that somebody is going to do."""
    table = scene.tables["happenings"]["plans"]
    free = [r for r in table["rows"] if not _used(scene, PLAN, r["base"])]
    if not free:
        return False
    person, row = scene.draw.pick(scene.cast.speakers), scene.draw.pick(free)
    row = {"v": row["base"], **row}
    when = planned(scene.draw, scene.today, scene.today)
    words = words_of(person, row, when=when)
    turns = scene.tell(person, table["say"], table["pairs"], words, "future")
    _plan(scene, PLANNED, person, row, turns, when, table["note"], words)
    scene.react(person, FUTURE)
    return True


def plan_again(scene: Scene) -> bool:
    """A plan that still stands, or what became of it."""
    found = [e for e in scene.timeline.now() if e.slot == PLAN and _earlier(scene, e)]
    found = [e for e in found if e.move in (PLANNED, MOVED)]
    if not found:
        return False
    last = scene.draw.pick(found)
    assert last.when is not None
    if (day := _done(scene, last.when)) is not None:
        when, move, note = told(scene.draw, day, scene.today), DONE, "note_done"
    elif scene.draw.chance(0.3):
        when, move, note = last.when, CANCELLED, "note_cancelled"
    elif scene.draw.chance(0.5):
        when = planned(scene.draw, scene.today, max(last.when.day, scene.today))
        move, note = MOVED, "note_moved"
    elif last.when.day > scene.today:
        when, move, note = last.when, AGAIN, "note" if last.move == PLANNED else "note_moved"
    else:
        return False
    said = told_again(last.when, scene.today)
    words = words_of(last.person, last.row, when=when) | {"old_when": said}
    if move == AGAIN:
        words |= {"when": said, "When": capital(said)}
    table = scene.tables["happenings"]["plans"]
    turns = scene.tell(last.person, table[move], [], words, "again" if move == AGAIN else "")
    _plan(scene, move, last.person, last.row, turns, when, table[note], words)
    moods = {DONE: GOOD, MOVED: NEUTRAL, CANCELLED: NEUTRAL, AGAIN: KNOWN}
    scene.react(last.person, moods[move])
    return True


def opinion(scene: Scene) -> bool:
    """What somebody thinks of something; at times another thing than before."""
    table = scene.tables["happenings"]["opinions"]
    person = scene.draw.pick(scene.cast.speakers)
    old = [e for e in scene.timeline.of(person, OPINION) if _earlier(scene, e)]
    if old and scene.draw.chance(0.4):
        last = scene.draw.pick(old)
        view = scene.draw.pick([v for v in table["views"] if v != last.value])
        row, move, before = last.row | {"v": view}, CHANGE, last.value
    else:
        free = [t for t in table["topics"] if not _used(scene, OPINION, t)]
        if not free:
            return False
        row, move, before = {"v": scene.draw.pick(table["views"])}, STATE, ""
        row["topic"] = scene.draw.pick(free)
    words = words_of(person, row, before)
    said, pairs = table["say"], table["pairs"]
    if move == CHANGE:
        said, pairs = table["change"], []
    turns = scene.tell(person, said, pairs, words, "view")
    about = f"{person.full}/{OPINION}/{row['topic']}"
    new = scene.happened(move, person, about, row, turns, old=before)
    scene.note(new, table["note" if move == STATE else "note_change"], words)
    scene.react(person, NEUTRAL, asks=False)
    return True


def _tell_event(scene: Scene, person: Person, row: Row, when: When, happening: dict) -> Event:
    table = scene.tables["happenings"]["events"]
    words = event_words(person, row, when, when.said)
    said, pairs, caption = table["say"], table["pairs"], ""
    if when.grain == YEAR:
        said, pairs = table["old"], []
    elif "caption" in happening and scene.draw.chance(0.4):
        said, pairs, caption = table["shared"], [], happening["caption"]
    turns = scene.tell(person, said, pairs, words, "happened", caption)
    about = f"{person.full}/{EVENT}/{row['past'].format(my='their')}"
    new = scene.happened(START, person, about, row, turns, when=when)
    scene.note(new, table["note"], in_third_person(words), when.key)
    return new


def _detail(
    scene: Scene,
    person: Person,
    row: Row,
    happening: dict,
    told_in: tuple[str, ...],
    once: bool,
) -> None:
    """The other asks for a detail; it is corrected at times."""
    value, wrong = scene.draw.shuffled(happening["values"])[:2]
    corrected = not once and scene.draw.chance(0.15)
    about = f"{person.full}/{DETAIL}/{row['past'].format(my='their')}"
    value_row = row | {"v": wrong if corrected else value}
    words = event_words(person, value_row)
    asked = scene.say(scene.listener(person), happening["ask"], words)
    said = scene.say(person, scene.fresh(happening["detail"]), words)
    turns = (*told_in, asked, said)
    new = scene.happened(START, person, about, value_row, turns)
    scene.note(new, happening["note"], in_third_person(words))
    scene.react(person, NEUTRAL, asks=not corrected)
    if corrected:
        right = row | {"v": value}
        words = event_words(person, right) | forms("wrong", wrong)
        text = scene.fresh(scene.tables["happenings"]["events"]["correct_detail"])
        turns = (*turns, scene.say(person, text, words))
        fixed = scene.happened(FIXED, person, about, right, turns, old=wrong)
        scene.note(fixed, happening["note"], in_third_person(words))
        scene.react(person, NEUTRAL, asks=False)


def _correct_day(scene: Scene, first: Event, wrong: When, right: When) -> None:
    table = scene.tables["happenings"]["events"]
    words = event_words(first.person, first.row, right, right.said)
    words |= {"wrong_on": wrong.said, "right_on": right.said}
    said = scene.say(first.person, scene.fresh(table["correct"]), words)
    turns = (*first.turns, said)
    fixed = scene.happened(FIXED, first.person, first.about, first.row, turns, when=right)
    scene.note(fixed, table["note"], in_third_person(words), right.key)
    scene.react(first.person, NEUTRAL, asks=False)


def _wrong_day(scene: Scene, when: When) -> When | None:
    """At times another day, which is told first."""
    ago = (scene.today - when.day).days
    if when.grain != DAY or ago > 6 or not scene.draw.chance(0.3):
        return None
    near = [n for n in range(1, 7) if n != ago and scene.today - n * _ONE > scene.before]
    if not near:
        return None
    return told_by_day(scene.draw, scene.today - scene.draw.pick(near) * _ONE, scene.today)


def _done(scene: Scene, target: When) -> datetime.date | None:
    """A day since the session before on which the plan came true, as it was planned."""
    start, end = target.day, month_end(target.day) if target.grain == MONTH else target.day
    early, late = max(start, scene.before + _ONE), min(end, scene.today - _ONE)
    if late < early or scene.draw.chance(0.2):
        return None
    return early + scene.draw.below((late - early).days + 1) * _ONE


def _plan(
    scene: Scene,
    move: str,
    person: Person,
    row: Row,
    turns: tuple[str, ...],
    when: When,
    note: str,
    words: dict[str, str],
) -> None:
    about = f"{person.full}/{PLAN}/{row['base']}"
    new = scene.happened(move, person, about, row, turns, when=when)
    state = PLANNED if move in (AGAIN, MOVED) else move
    value = state if move == CANCELLED else f"{state} {when.key}"
    scene.note(new, note, words, value)


def event_words(
    person: Person, row: Row, when: When | None = None, said: str = ""
) -> dict[str, str]:
    """What templates need to tell of what happened, in the first person."""
    words = words_of(person, row, when=when)
    words |= {key: words[key].format(my="my") for key in ("past", "base")}
    if said:
        words |= {"when": said, "When": capital(said)}
    return words | {"raw_past": row["past"], "raw_base": row["base"]}


def in_third_person(words: dict[str, str]) -> dict[str, str]:
    """The same words for the third person."""
    his = words["his"]
    return words | {key: words[f"raw_{key}"].format(my=his) for key in ("past", "base")}


def _used(scene: Scene, slot: str, key: str) -> bool:
    """Whether either of the speakers told of it: questions must have one answer."""
    name = key.format(my="their")
    return any(scene.timeline.known(f"{p.full}/{slot}/{name}") for p in scene.cast.speakers)


def _earlier(scene: Scene, event: Event) -> bool:
    return scene.timeline.last_told(event.about) < scene.talk.session
