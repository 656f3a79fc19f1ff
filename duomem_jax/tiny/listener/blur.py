"""A training dialogue with unknown words in it."""

import re
from dataclasses import replace

from duomem_jax.base.draw import Draw
from duomem_jax.records.dialogues import Dialogue, Session, Turn
from duomem_jax.worlds.dialogues.generate.dates import DAYS, MONTHS
from duomem_jax.worlds.dialogues.generate.wording import number
from duomem_jax.worlds.dialogues.made_up import made_up

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
