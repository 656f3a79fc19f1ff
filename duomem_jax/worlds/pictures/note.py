"""A note: a few names, and a word beside each."""

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.pictures.canvas import INK, Canvas
from duomem_jax.worlds.pictures.picture import Asked
from duomem_jax.worlds.pictures.shapes import NUMBERS
from duomem_jax.worlds.pictures.sign import WORDS

NAMES = ("Ann", "Ben", "Eva", "Ian", "Kai", "Lea", "Mia", "Noa", "Pia", "Sam", "Tom", "Zoe")
_LEFT, _TOP, _STEP = 0.06, 0.1, 0.16  # of the first line, and from one to the next
_HEIGHT = 0.13  # of the letters, with the room above and below them


def note(draw: Draw, canvas: Canvas) -> tuple[str, list[Asked]]:
    """Draw two to six lines; return the caption and the questions."""
    count = draw.between(2, 6)
    names, words = draw.shuffled(NAMES)[:count], draw.shuffled(WORDS)[:count]
    for i, (name, word) in enumerate(zip(names, words, strict=True)):
        canvas.words((_LEFT, _TOP + _STEP * i), f"{name}: {word}", _HEIGHT, INK)
    questions = [
        *(Asked(f"What is beside {n}?", w) for n, w in zip(names, words, strict=True)),
        Asked("Who is first on the note?", names[0]),
        Asked("How many lines has the note?", NUMBERS[count], told=True),
    ]
    return f"a note of {NUMBERS[count]} lines", questions
