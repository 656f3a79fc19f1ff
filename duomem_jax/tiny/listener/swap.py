"""A training dialogue with other names and values in the same sentences."""

import re
from collections.abc import Callable
from dataclasses import replace

from duomem_jax.records.dialogues import Dialogue, Fact, Question, Session, Turn
from duomem_jax.tiny.listener.words import made_up, made_up_name, made_up_value
from duomem_jax.worlds.dialogues.generate.dates import DAYS, MONTHS
from duomem_jax.worlds.dialogues.generate.draw import Draw
from duomem_jax.worlds.dialogues.generate.tables import rows, slots
from duomem_jax.worlds.dialogues.generate.wording import capital, number

_BLUR = 0.12  # share of the words
_WORD = re.compile(r"[^\W\d_]+")
_DATES = frozenset(
    word.casefold()
    for word in (
        *("yesterday", "day", "days", "before", "week", "weeks", "month", "year", "ago", "last"),
        *("next", "earlier", "exactly", "this", "the", "back", "not", "never"),
        *(number(n) for n in range(13)),
        *(*DAYS, *MONTHS),
    )
)
_KINDS = ("pet",)  # tables whose values are kinds ("dog"), which sentences must fit


def swapped(dialogue: Dialogue, draw: Draw) -> Dialogue:
    """The dialogue, with made-up words for its names and values."""
    others = {name: made_up_name(draw) for name in _names(dialogue)}
    for fact in dialogue.facts:
        slot = fact.about.split("/")[1]
        if slot in slots() and fact.value:
            others.setdefault(fact.value, _other(draw, slot, fact.value))
    # What nobody has but somebody is asked for ("Aren't you a baker?") comes from the same tables.
    said = " ".join(turn.text for _, turn in dialogue.turns())
    for slot in slots():
        for row in () if slot in _KINDS else rows(slot, False):
            if row["v"] in said and len(row["v"]) > 3:
                others.setdefault(row["v"], _other(draw, slot, row["v"]))
    return renamed(dialogue, others)


def _other(draw: Draw, slot: str, value: str) -> str:
    return made_up_name(draw) if slot in ("pet", "partner") else made_up_value(draw, value)


def _names(dialogue: Dialogue) -> list[str]:
    """Of the speakers, and of those whom they tell of."""
    owners = (fact.about.split("/")[0] for fact in dialogue.facts)
    told = (owner.rsplit(" ", 1)[-1] for owner in owners if "'s " in owner)
    return list(dict.fromkeys([*dialogue.speakers, *told]))


def renamed(dialogue: Dialogue, others: dict[str, str]) -> Dialogue:
    """The dialogue with some texts replaced by others, wherever they stand."""
    both = {capital(old): capital(new) for old, new in others.items()} | others
    # The longest first: a value may be part of another one.
    found = "|".join(map(re.escape, sorted(both, key=len, reverse=True)))
    pattern = re.compile(rf"(?<!\w)(?:{found})(?!\w)")

    def new(text: str) -> str:
        return pattern.sub(lambda match: both[match[0]], text)

    first, second = dialogue.speakers
    return Dialogue(
        dialogue.id,
        (new(first), new(second)),
        tuple(Session(s.at, tuple(_turn(t, new) for t in s.turns)) for s in dialogue.sessions),
        tuple(_fact(fact, new) for fact in dialogue.facts),
        tuple(_question(question, new) for question in dialogue.questions),
    )


def blurred(dialogue: Dialogue, draw: Draw) -> Dialogue:
    """The dialogue with unknown words in place of some that nothing noted or asked rests on.

    People outside this world say things in other words; whoever read nothing but known ones takes
    an unknown one for a value.
    """
    noted = [fact.text for fact in dialogue.facts] + [q.text for q in dialogue.questions]
    kept = {word for text in noted for word in _WORD.findall(text.casefold())} | _DATES

    def unknown(match: re.Match[str]) -> str:
        word = match[0]
        blur = word.casefold() not in kept and len(word) > 2 and draw.chance(_BLUR)
        return made_up(draw, word) if blur else word

    def turn(said: Turn) -> Turn:
        return replace(said, text=_WORD.sub(unknown, said.text))

    sessions = (Session(s.at, tuple(map(turn, s.turns))) for s in dialogue.sessions)
    return replace(dialogue, sessions=tuple(sessions))


def _turn(turn: Turn, new: Callable[[str], str]) -> Turn:
    return replace(turn, speaker=new(turn.speaker), text=new(turn.text), caption=new(turn.caption))


def _fact(fact: Fact, new: Callable[[str], str]) -> Fact:
    return replace(
        fact,
        text=new(fact.text),
        speaker=new(fact.speaker),
        about=new(fact.about),
        value=new(fact.value),
    )


def _question(question: Question, new: Callable[[str], str]) -> Question:
    return replace(
        question,
        text=new(question.text),
        answer=new(question.answer),
        trap=new(question.trap),
    )
