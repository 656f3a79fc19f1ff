"""A dialogue with other names and values in the same sentences."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from duomem_jax.base.draw import Draw
from duomem_jax.records.dialogues import Dialogue, Fact, Question, Session, Turn
from duomem_jax.worlds.dialogues.generate.tables import rows, slots
from duomem_jax.worlds.dialogues.generate.wording import capital
from duomem_jax.worlds.dialogues.made_up import made_up_name, made_up_value

Values = Literal["own", "other", "made-up"]
_KINDS = ("pet",)  # tables whose values are kinds ("dog"), which sentences must fit


def retold(dialogue: Dialogue, values: Values, *, held_out: bool = False) -> Dialogue:
    """A generated dialogue with other values, in the one way that its id stands for.

    Args:
        dialogue: as it was generated.
        values: its own; `contradicted`; or made up, as in `swapped`.
        held_out: whether the dialogue is.
    """
    if values == "own":
        return dialogue
    draw = Draw(f"{dialogue.id} {values}")
    if values == "other":
        told = contradicted(dialogue, draw, held_out=held_out)
    else:
        told = swapped(dialogue, draw)
    return replace(told, id=f"{dialogue.id}-{values}")


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


def contradicted(dialogue: Dialogue, draw: Draw, *, held_out: bool = False) -> Dialogue:
    """The dialogue of the same people with other values, from the tables that its own are from.

    Whoever has learnt the dialogue by heart answers its questions wrongly here.

    Args:
        dialogue: generated.
        draw: which values.
        held_out: whether the dialogue is; its values stay on its side of the split.
    """
    said = " ".join(turn.text for _, turn in dialogue.turns())
    others: dict[str, str] = {}
    for fact in dialogue.facts:
        slot = fact.about.split("/")[1]
        # A bare number may be part of a date elsewhere, and a pet's name comes from no table.
        if slot not in slots() or slot in _KINDS or not fact.value or fact.value.isdigit():
            continue
        free = [row["v"] for row in rows(slot, held_out) if row["v"] not in said]
        alike = [v for v in free if _vowel(v) == _vowel(fact.value) and v not in others.values()]
        if fact.value not in others and alike:
            others[fact.value] = draw.pick(alike)
    return renamed(dialogue, others)


def _vowel(value: str) -> bool:
    """Whether "an" stands before it."""
    return value[:1].casefold() in "aeiou"


def _other(draw: Draw, slot: str, value: str) -> str:
    return made_up_name(draw) if slot in ("pet", "partner") else made_up_value(draw, value)


def _names(dialogue: Dialogue) -> list[str]:
    """Of the speakers, and of those whom they tell of."""
    owners = (fact.about.split("/")[0] for fact in dialogue.facts)
    told = (owner.rsplit(" ", 1)[-1] for owner in owners if "'s " in owner)
    return list(dict.fromkeys([*dialogue.speakers, *told]))


def renamed(dialogue: Dialogue, others: dict[str, str]) -> Dialogue:
    """The dialogue with some texts replaced by others, wherever they stand."""
    if not others:  # a pattern of no alternatives would match everywhere
        return dialogue
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
