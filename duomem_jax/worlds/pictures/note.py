"""A note: a few names, and a word beside each."""

from collections.abc import Sequence

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.pictures.canvas import INK, Canvas
from duomem_jax.worlds.pictures.picture import Asked
from duomem_jax.worlds.pictures.shapes import NUMBERS
from duomem_jax.worlds.pictures.sign import WORDS

NAMES = ("Ann", "Ben", "Eva", "Ian", "Kai", "Lea", "Mia", "Noa", "Pia", "Sam", "Tom", "Zoe")
FEWEST, MOST = 2, 9  # lines
_LEFT = 0.06  # of a line
_FILLED = 0.96  # of the height, where lines are as many as fit
_STEP = 0.16  # from one line to the next, where they are few
_LETTERS = 0.8  # of a step, with the room above and below them


def note(draw: Draw, canvas: Canvas) -> tuple[str, list[Asked]]:
    """Draw some lines; return the caption and the questions."""
    count = draw.between(FEWEST, MOST)
    names, words = draw.shuffled(NAMES)[:count], draw.shuffled(WORDS)[:count]
    write_lines(canvas, [f"{name}: {word}" for name, word in zip(names, words, strict=True)])
    questions = [
        *(Asked(f"What is beside {n}?", w) for n, w in zip(names, words, strict=True)),
        Asked("Who is first on the note?", names[0]),
        Asked("How many lines has the note?", NUMBERS[count], told=True),
    ]
    return f"a note of {NUMBERS[count]} lines", questions


def write_lines(canvas: Canvas, lines: Sequence[str]) -> None:
    """Write lines from the top down, the smaller the more there are."""
    step = min(_STEP, _FILLED / len(lines))
    for i, line in enumerate(lines):
        canvas.words((_LEFT, step * (i + 0.6)), line, _LETTERS * step, INK)
