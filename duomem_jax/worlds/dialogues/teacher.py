"""A teacher that follows rules: what a window holds, and what a new fact does to the known ones."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from duomem_jax.records.dialogues import Dialogue, Fact, Question
from duomem_jax.worlds.dialogues.generate.tables import slots
from duomem_jax.worlds.dialogues.generate.wording import forms

ADD, UPDATE, DELETE, KEEP = "add", "update", "delete", "keep"


@dataclass(frozen=True)
class Decision:
    """What is to be done about one known fact, or with the new one.

    Attributes:
        kind: `ADD`, `UPDATE`, `DELETE` or `KEEP`.
        index: of the known fact; None for `ADD`.
        text: what is to be remembered; "" for `DELETE` and `KEEP`.
    """

    kind: str
    index: int | None = None
    text: str = ""


def extract(dialogue: Dialogue, session: int, turns: Collection[str] | None = None) -> list[Fact]:
    """The facts that a window of a session holds, in the order in which they are told.

    Args:
        session: index of the session.
        turns: ids of the turns of the window; None: the whole session.

    Returns:
        The noted facts whose last evidence turn is in the window, so that windows which part a
        session part its facts.
    """
    if not 0 <= session < len(dialogue.sessions):
        raise IndexError(f"dialogue {dialogue.id} has no session {session}")
    order = {turn.id: i for i, turn in enumerate(dialogue.sessions[session].turns)}
    within = order.keys() if turns is None else set(turns)
    found = []
    for fact in dialogue.facts:
        # What is noted of several sessions is known once the last of them is read.
        own = [turn for turn in fact.evidence if turn in order]
        if fact.session == session and own and max(own, key=order.__getitem__) in within:
            found.append(fact)
    return found


def update(known: Sequence[Fact], new: Fact) -> list[Decision]:
    """What a new fact does to the known ones.

    The rules, the first that applies:

    1. Nothing is known about the same thing: `ADD`, also of an end, which is a fact itself. Without
       `about`, the same thing is the same text.
    2. The same value, ended or not as before: `KEEP`.
    3. Another value, an end, a correction: `UPDATE` of the first known fact about it. The text is
       the new one; where former values are of use (`used` in the tables: job, city, car, diet,
       partner), "Ana used to live in Porto." is added. An end replaces what was true, so nothing
       answers as if it were: "Ben gave up tennis on 3 May 2024."
    4. What else is known about the same thing: `DELETE`.

    Args:
        known: the facts in the store, or those of them that were found for the new one.

    Returns:
        One decision, or more where several known facts are about the same thing.
    """
    same = [i for i, fact in enumerate(known) if _same_thing(fact, new)]
    if not same:
        return [Decision(ADD, text=new.text)]
    said = next((i for i in same if _says(known[i], new)), None)
    kept = same[0] if said is None else said
    first = Decision(KEEP, kept)
    if said is None:
        first = Decision(UPDATE, kept, _updated(known[kept], new))
    return [first, *(Decision(DELETE, i) for i in same if i != kept)]


def answer(question: Question) -> str:
    """The key; "" where the dialogue does not say."""
    return question.corrected or question.answer


def apply(known: Iterable[Fact], new: Fact, decisions: Iterable[Decision]) -> list[Fact]:
    """The known facts after some decisions on a new one: the reference for a store."""
    facts: list[Fact | None] = list(known)
    for decision in decisions:
        if decision.kind == ADD:
            facts.append(new)
        elif decision.kind == UPDATE and decision.index is not None:
            facts[decision.index] = replace(new, text=decision.text)
        elif decision.kind == DELETE and decision.index is not None:
            facts[decision.index] = None
    return [fact for fact in facts if fact is not None]


def remembered(dialogue: Dialogue, sessions: int | None = None) -> list[Fact]:
    """What is known after the first so many sessions (None: all), if no mistake is made."""
    known: list[Fact] = []
    for session in range(len(dialogue.sessions) if sessions is None else sessions):
        for new in extract(dialogue, session):
            known = apply(known, new, update(known, new))
    return known


def _same_thing(known: Fact, new: Fact) -> bool:
    if new.about or known.about:
        return known.about == new.about
    return _plain(known.text) == _plain(new.text)


def _says(known: Fact, new: Fact) -> bool:
    """Whether what is known says what the new fact says."""
    if not new.about or not (new.value or known.value):
        return _plain(known.text) == _plain(new.text)
    return (known.value, known.ends) == (new.value, new.ends)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def _updated(known: Fact, new: Fact) -> str:
    """The new text, and what is still worth saying of former values."""
    owner, _, slot = new.about.partition("/")
    template = slots().get(slot, {}).get("used", "")
    if not template:
        return new.text
    earlier = re.findall(re.escape(f"{owner} used to ") + r"[^.]*\.", known.text)
    if known.value and known.value != new.value:
        earlier.insert(0, template.format(X=owner, **forms("v", known.value)))
    return " ".join((new.text, *earlier))
