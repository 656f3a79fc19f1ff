"""A generated dialogue in which people share pictures, and what is asked about these."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace

from duomem_jax.base.draw import Draw
from duomem_jax.records.dialogues import SEEN, TOLD, Dialogue, Fact, Question, Session, Turn
from duomem_jax.records.pictures import PictureFolder
from duomem_jax.worlds.dialogues.generate.dates import written
from duomem_jax.worlds.pictures import Picture, render
from duomem_jax.worlds.pictures.picture import png

# By the kind of a picture: what it is called, and what is said with it.
NOUNS = {"shapes": "drawing", "sign": "sign", "clock": "clock", "chart": "chart", "note": "note"}
SAID = {
    "shapes": ("My niece drew this.", "Look what the children made.", "I found this drawing."),
    "sign": ("I saw this sign on my way.", "Look at this sign.", "I passed this sign today."),
    "clock": ("This clock hangs in the hall now.", "Look at this clock.", "I fixed this clock."),
    "note": ("I found this note.", "Look at my note.", "This note was on the table."),
    "chart": ("I made this chart for the club.", "Look at this chart.", "We drew a chart."),
}
_SEED = 40_000_000  # of pictures, far from those that anybody else draws


@dataclass(frozen=True)
class _Shared:
    """A picture, and where it is shared."""

    picture: Picture
    session: int
    turn: Turn


def pictured(
    dialogue: Dialogue, number: int, index: int, keep: PictureFolder, *, held_out: bool = False
) -> Dialogue:
    """The dialogue with pictures, in the one way that its index stands for.

    A session has at most one, so that who shared it and when says which one is meant.

    Args:
        dialogue: generated.
        number: pictures; as many as there are sessions at most.
        index: of the dialogue among those of its side of the split.
        keep: where their files go.
        held_out: whether the dialogue is.
    """
    draw = Draw(f"{dialogue.id} pictures")
    sessions = list(dialogue.sessions)
    shared = []
    for nth, place in enumerate(sorted(draw.shuffled(range(len(sessions)))[:number])):
        picture = render(_SEED, index * len(sessions) + nth, held_out=held_out)
        at, turn = _share(draw, sessions[place], picture, keep)
        turns = sessions[place].turns
        sessions[place] = replace(sessions[place], turns=(*turns[:at], turn, *turns[at + 1 :]))
        shared.append(_Shared(picture, place, turn))
    order = {turn.id: i for i, turn in enumerate(t for s in sessions for t in s.turns)}
    facts = [*dialogue.facts, *map(_fact, shared)]
    return replace(
        dialogue,
        id=f"{dialogue.id}-pictured",
        sessions=tuple(sessions),
        facts=tuple(sorted(facts, key=lambda fact: max(order[turn] for turn in fact.evidence))),
        questions=(*dialogue.questions, *_questions(draw, sessions, shared)),
    )


def _share(draw: Draw, session: Session, picture: Picture, keep: PictureFolder) -> tuple[int, Turn]:
    """A turn of a session that has no picture yet, with this one; and its place."""
    # Not in greetings: nobody has said a thing by then.
    inner = range(2, len(session.turns) - 2)
    at = draw.pick([i for i in inner if not session.turns[i].caption] or list(inner))
    turn = session.turns[at]
    text = f"{turn.text} {draw.pick(SAID[picture.kind])}"
    return at, replace(
        turn, text=text, caption=picture.caption, picture=keep.keep(png(picture.image))
    )


def _fact(shared: _Shared) -> Fact:
    text = f"{shared.turn.speaker} shared a picture: {shared.picture.caption}."
    return Fact(text, shared.turn.speaker, shared.session, (shared.turn.id,))


def _questions(draw: Draw, sessions: list[Session], shared: list[_Shared]) -> Iterator[Question]:
    """Of each picture one that has to be looked at, and one that its caption answers."""
    number = 0
    for one in shared:
        day = datetime.datetime.fromisoformat(sessions[one.session].at).date()
        asker = f"{one.turn.speaker} shared a {NOUNS[one.picture.kind]} on {written(day)}."
        for kind in (SEEN, TOLD):
            asked = [a for a in one.picture.asked if a.told == (kind == TOLD)]
            if asked:
                chosen = draw.pick(asked)
                number += 1
                yield Question(
                    f"p{number}", f"{asker} {chosen.text}", kind, chosen.answer, (one.turn.id,)
                )
