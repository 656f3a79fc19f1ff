"""What can come up in a session. Each move tells something true, or gives False where it cannot."""

from datetime import timedelta

from duomem_jax.worlds.dialogues.generate.cast import Person, Row
from duomem_jax.worlds.dialogues.generate.dates import When, told
from duomem_jax.worlds.dialogues.generate.scene import GOOD, KNOWN, NEUTRAL, Scene, words_of
from duomem_jax.worlds.dialogues.generate.tables import slots
from duomem_jax.worlds.dialogues.generate.timeline import AGAIN, CHANGE, END, START, STATE, Event
from duomem_jax.worlds.dialogues.generate.wording import forms

ONCE = ("book", "trip", "age")
MANY = tuple(s for s, t in slots().items() if t.get("many") and s not in ONCE)
SINGLE = tuple(s for s, t in slots().items() if not t.get("many") and s not in ONCE)
TOLD_OF_OTHERS = ("job", "city", "instrument", "hobby")
COLOURS = {STATE: "state", START: "news", CHANGE: "news", END: "end", AGAIN: "again"}
STAYS = ("job", "city", "car", "phone", "diet")  # for two sessions at least
AT_A_TIME = 3  # things of a sort that somebody has


def about(person: Person, slot: str, row: Row) -> str:
    """Names what can have one value at a time."""
    many = slot in MANY or slot in ("book", "trip")
    return f"{person.full}/{slot}/{row['v']}" if many else f"{person.full}/{slot}"


def first(scene: Scene) -> bool:
    """Something that was not told before, or not since the last one ended."""
    person, slot = scene.draw.pick(scene.cast.speakers), scene.draw.pick((*SINGLE, *MANY))
    # Work and home come up early, and lead to more.
    untold = [s for s in ("job", "city") if not scene.timeline.of(person, s)]
    if untold and scene.draw.chance(0.35):
        slot = scene.draw.pick(untold)
    there = scene.timeline.of(person, slot)
    alive = [e for e in there if not e.over]
    if len(alive) >= (AT_A_TIME if slot in MANY else 1):
        return False
    table = slots()[slot]
    # Who said "I can't play a note", or sold the only car, has no old one to tell of.
    denied = any(u[0] is person and u[1] == slot for u in scene.unreal)
    anew = denied or (slot in SINGLE and there)
    move = START if anew or ("start" in table["note"] and scene.draw.chance(0.5)) else STATE
    when = day_since(scene) if move == START else None
    if move not in table["note"] or (move == START and when is None):
        return False
    row = _new(scene, slot)
    return row is not None and _told(scene, move, person, slot, row, when=when, asked=not there)


def change(scene: Scene) -> bool:
    """Another value of what has one."""
    found = _alive(scene, [s for s in SINGLE if "change" in slots()[s]["note"]])
    # Nobody moves every week; what changed least is next.
    found = [e for e in found if e.slot not in STAYS or e.session < scene.talk.session - 1]
    if not found:
        return False
    fewest = min(len(scene.timeline.history(e.about)) for e in found)
    found = [e for e in found if len(scene.timeline.history(e.about)) == fewest]
    last = scene.draw.pick(found)
    when = day_since(scene)
    row = scene.cast.take(last.slot)
    if row is None or when is None:
        return False
    return _told(scene, CHANGE, last.person, last.slot, row, old=last.value, when=when)


def end(scene: Scene) -> bool:
    """What was true is so no more."""
    found = _alive(scene, [s for s in (*SINGLE, *MANY) if "end" in slots()[s]["note"]])
    when = day_since(scene)
    if not found or when is None:
        return False
    last = scene.draw.pick(found)
    return _told(scene, END, last.person, last.slot, last.row, when=when)


def again(scene: Scene) -> bool:
    """What is known, in other words."""
    found = _alive(scene, [*SINGLE, *MANY])
    if not found:
        return False
    last = scene.draw.pick(found)
    return _told(scene, AGAIN, last.person, last.slot, last.row)


def once(scene: Scene) -> bool:
    """A book read, a place visited, a birthday."""
    person, slot = scene.draw.pick(scene.cast.speakers), scene.draw.pick(ONCE)
    if slot == "age" and scene.timeline.of(person, slot):
        return False
    when, row = day_since(scene), scene.cast.take(slot)
    if row is None or when is None:
        return False
    return _told(scene, START, person, slot, row, when=when)


def of_others(scene: Scene) -> bool:
    """What somebody tells of a relative or a friend."""
    person, slot = scene.draw.pick(scene.cast.circle), scene.draw.pick(TOLD_OF_OTHERS)
    there = scene.timeline.of(person, slot)
    if not there:
        row = scene.cast.take(slot)
        when = day_since(scene) if slot == "instrument" and scene.draw.chance(0.5) else None
        return row is not None and _told_of(
            scene, START if when else STATE, person, slot, row, when
        )
    last = there[-1]
    if slot not in ("job", "city") or last.session == scene.talk.session:
        return False
    row, when = scene.cast.take(slot), day_since(scene)
    if row is None or when is None:
        return False
    return _told_of(scene, CHANGE, person, slot, row, when, last.value)


def day_since(scene: Scene) -> When | None:
    """A day since the session before, as it is told today; None where there is none."""
    days = (scene.today - scene.before).days - 1
    if days < 1:
        return None
    day = scene.today - timedelta(days=scene.draw.between(1, days))
    return told(scene.draw, day, scene.today)


def _alive(scene: Scene, wanted: list[str]) -> list[Event]:
    """What is true of the speakers, and was not spoken of in this session."""
    return [
        e
        for e in scene.timeline.now()
        if e.slot in wanted
        and e.person in scene.cast.speakers
        and not e.over
        and scene.timeline.last_told(e.about) < scene.talk.session
    ]


def _new(scene: Scene, slot: str) -> Row | None:
    row = scene.cast.take(slot)
    if slot != "pet" or row is None:
        return row
    name = scene.cast.pet_name()
    return {"v": name, "kind": row["v"]} if name else None


def _told(
    scene: Scene,
    move: str,
    person: Person,
    slot: str,
    row: Row,
    old: str = "",
    when: When | None = None,
    asked: bool = True,
) -> bool:
    """A speaker tells of themselves."""
    spoken, table = scene.tables["slots"][slot], slots()[slot]
    words = words_of(person, row, old, when)
    said, pairs = spoken["say"][move], spoken.get("pairs", {}).get(move, []) if asked else []
    caption = ""
    if move in (STATE, AGAIN) and slot in SINGLE and "deny" in spoken["pairs"]:
        # A question that suggests what is false.
        if scene.draw.chance(0.25):
            words |= _wrong(scene, person, slot, row["v"])
            said, pairs = [], spoken["pairs"]["deny"]
    elif move == STATE and "caption" in spoken and scene.draw.chance(0.4):
        said, pairs = spoken["say"]["caption"], []
        caption = table["caption"].format(**words)
    mood = _mood(table, move)
    colour = {"age": "", "book": "treat", "trip": "treat"}.get(slot, COLOURS[move])
    if move in (START, CHANGE) and mood == NEUTRAL:
        colour = "state"
    if move == END and mood != NEUTRAL:
        colour = "news" if mood == GOOD else "loss"
    turns = scene.tell(person, said, pairs, words, colour, caption)
    event = scene.happened(move, person, about(person, slot, row), row, turns, old=old, when=when)
    scene.note(event, table["note"][STATE if move == AGAIN else move], words)
    # Of a book or a record nobody asks whether it was a good decision.
    scene.react(person, mood, asks=slot not in (*ONCE, "run"))
    return True


def _told_of(
    scene: Scene,
    move: str,
    person: Person,
    slot: str,
    row: Row,
    when: When | None,
    old: str = "",
) -> bool:
    """A speaker tells of somebody else."""
    spoken, teller = scene.tables["slots"][slot]["say"], scene.teller(person)
    words = words_of(person, row, old, when)
    known = any(e.person is person for e in scene.timeline.events)
    said = spoken[f"of_{move}"]
    pairs: list[list[str]] = []
    if known:
        ask = scene.fresh(scene.tables["chat"]["ask_of"])
        ask = ask.format(relation=person.relation, name=person.name)
        pairs = [[ask, scene.fresh(said)]]
    turns = scene.tell(teller, said, pairs, words, "")
    event = scene.happened(move, person, about(person, slot, row), row, turns, old=old, when=when)
    scene.note(event, slots()[slot]["note"][move], words)
    scene.react(teller, NEUTRAL)
    return True


def _wrong(scene: Scene, person: Person, slot: str, value: str) -> dict[str, str]:
    """A value to be mistaken about, which is not that of the one who is mistaken either."""
    own = [e.value for e in scene.timeline.of(scene.listener(person), slot)]
    return forms("wrong", scene.cast.other(slot, [value, *own]))


def _mood(table: dict[str, str], move: str) -> str:
    if move == END:
        return table.get("mood_end", NEUTRAL)
    if move == AGAIN:
        return KNOWN
    return table["mood"] if move in (START, CHANGE) else NEUTRAL
