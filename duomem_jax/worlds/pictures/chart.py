"""A small bar chart."""

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.pictures.canvas import COLOURS, INK, Canvas
from duomem_jax.worlds.pictures.picture import Asked, Drawn
from duomem_jax.worlds.pictures.shapes import NUMBERS

_HEIGHTS = (0.15, 0.3, 0.45, 0.6, 0.75)  # no two bars have the same
_FLOOR = 0.9


def chart(draw: Draw, canvas: Canvas) -> Drawn:
    """Draw three to five bars."""
    count = draw.between(3, 5)
    colours = draw.shuffled(list(COLOURS))[:count]
    heights = draw.shuffled(_HEIGHTS)[:count]
    for i, (colour, height) in enumerate(zip(colours, heights, strict=True)):
        left = 0.1 + 0.82 * i / count
        right = left + 0.6 * 0.82 / count
        canvas.box((left, _FLOOR - height), (right, _FLOOR), COLOURS[colour])
    canvas.line((0.05, _FLOOR), (0.95, _FLOOR), 0.015, INK)
    by_height = dict(zip(heights, colours, strict=True))
    tallest, shortest = by_height[max(heights)], by_height[min(heights)]
    tells_tallest = draw.chance(0.3)
    about = f"where {tallest} is ahead" if tells_tallest else f"with {NUMBERS[count]} bars"
    questions = [
        Asked("Which bar is the tallest?", tallest, tells_tallest),
        Asked("Which bar is the shortest?", shortest),
        Asked("How many bars are there?", NUMBERS[count], not tells_tallest),
        Asked("Which bar is the first from the left?", colours[0]),
    ]
    return Drawn(f"a bar chart {about}", questions)
