"""A note: a few names, and a word beside each."""

from collections.abc import Sequence
from typing import NamedTuple

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.pictures.canvas import INK, Canvas
from duomem_jax.worlds.pictures.picture import Asked, Drawn
from duomem_jax.worlds.pictures.shapes import NUMBERS
from duomem_jax.worlds.pictures.sign import WORDS

NAMES = ("Ann", "Ben", "Eva", "Ian", "Kai", "Lea", "Mia", "Noa", "Pia", "Sam", "Tom", "Zoe")
FEWEST, MOST = 2, 9  # lines
_LEFT = 0.06  # of a line
_FILLED = 0.96  # of the height, where lines are as many as fit
_STEP = 0.16  # from one line to the next, where they are few
_LETTERS = 0.8  # of a step, with the room above and below them


class Line(NamedTuple):
    """What stands beside a name."""

    name: str
    word: str

    @property
    def text(self) -> str:
        """As it is written."""
        return f"{self.name}: {self.word}"

    @property
    def asked(self) -> Asked:
        """What only its readers know."""
        return Asked(f"What is beside {self.name}?", self.word)


def lines_of(draw: Draw, count: int) -> list[Line]:
    """So many lines, at most as many as there are names; each name and word once."""
    names, words = draw.shuffled(NAMES)[:count], draw.shuffled(WORDS)[:count]
    return [Line(name, word) for name, word in zip(names, words, strict=True)]


def note(draw: Draw, canvas: Canvas) -> Drawn:
    """Draw some lines."""
    lines = lines_of(draw, draw.between(FEWEST, MOST))
    write_lines(canvas, lines)
    number = NUMBERS[len(lines)]
    questions = [
        *(line.asked for line in lines),
        Asked("Who is first on the note?", lines[0].name),
        Asked("How many lines has the note?", number, told=True),
    ]
    return Drawn(f"a note of {number} lines", questions, "\n".join(line.text for line in lines))


def write_lines(canvas: Canvas, lines: Sequence[Line]) -> None:
    """Write lines from the top down, the smaller the more there are."""
    step = min(_STEP, _FILLED / len(lines))
    for i, line in enumerate(lines):
        canvas.words((_LEFT, step * (i + 0.6)), line.text, _LETTERS * step, INK)
