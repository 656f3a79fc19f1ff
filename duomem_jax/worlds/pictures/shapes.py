"""Coloured shapes: how many there are, which colours they have, and where they lie."""

import itertools
from collections import Counter
from dataclasses import dataclass

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.pictures.canvas import COLOURS, Canvas, Point, around
from duomem_jax.worlds.pictures.picture import Asked, Drawn

NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CORNERS = {"triangle": 3, "square": 4, "pentagon": 5}
NAMES = ("circle", "star", *CORNERS)
_CELLS = 3  # a side: shapes lie in cells of a grid, so that none hides another
_RADIUS = 0.13


@dataclass(frozen=True)
class _Shape:
    name: str
    colour: str
    cell: int

    @property
    def centre(self) -> Point:
        row, column = divmod(self.cell, _CELLS)
        return (column + 0.5) / _CELLS, (row + 0.5) / _CELLS

    @property
    def told(self) -> str:
        return f"{self.colour} {self.name}"


def shapes(draw: Draw, canvas: Canvas) -> Drawn:
    """Draw two to six shapes."""
    cells = draw.shuffled(range(_CELLS**2))[: draw.between(2, 6)]
    found = [_Shape(draw.pick(NAMES), draw.pick(list(COLOURS)), cell) for cell in cells]
    for shape in found:
        _paint(canvas, shape)
    seen = draw.pick(found)
    # Of some pictures a caption tells one shape, of others their number.
    tells_number = draw.chance(0.5)
    caption = f"{NUMBERS[len(found)]} shapes" if tells_number else f"a {seen.told} among others"
    questions = [
        Asked("How many shapes are there?", NUMBERS[len(found)], tells_number),
        *_counts(draw, found),
        *_colours(found, None if tells_number else seen),
        *_relations(found),
    ]
    return Drawn(f"a drawing of {caption}", questions)


def _paint(canvas: Canvas, shape: _Shape) -> None:
    colour, centre = COLOURS[shape.colour], shape.centre
    if shape.name == "circle":
        canvas.disc(centre, _RADIUS, colour)
    elif shape.name == "star":
        radii = (_RADIUS, 0.4 * _RADIUS)
        points = [around(centre, radii[i % 2], i / 10) for i in range(10)]
        canvas.polygon(points, colour)
    else:
        n = CORNERS[shape.name]
        # A square stands on a side, the others on theirs as well.
        turn = 1 / 8 if shape.name == "square" else 0
        canvas.polygon([around(centre, _RADIUS, turn + i / n) for i in range(n)], colour)


def _counts(draw: Draw, found: list[_Shape]) -> list[Asked]:
    """Of one kind that is there, or is not."""
    name = draw.pick(NAMES)
    number = sum(shape.name == name for shape in found)
    return [Asked(f"How many {name}s are there?", NUMBERS[number])]


def _colours(found: list[_Shape], told: _Shape | None) -> list[Asked]:
    """Of shapes that are the only ones of their name, or of their colour."""
    names = Counter(shape.name for shape in found)
    colours = Counter(shape.colour for shape in found)
    asked = []
    for shape in found:
        if names[shape.name] == 1:
            text = f"What colour is the {shape.name}?"
            asked.append(Asked(text, shape.colour, shape == told))
        if colours[shape.colour] == 1:
            asked.append(Asked(f"Which shape is {shape.colour}?", shape.name, shape == told))
    return asked


def _relations(found: list[_Shape]) -> list[Asked]:
    """Of two shapes that each are the only one of their name."""
    names = Counter(shape.name for shape in found)
    alone = [shape for shape in found if names[shape.name] == 1]
    asked = []
    for one, other in itertools.pairwise(alone):
        (x, y), (x2, y2) = one.centre, other.centre
        if x != x2:
            side = "left" if x < x2 else "right"
            text = f"Is the {one.name} left or right of the {other.name}?"
            asked.append(Asked(text, side))
        if y != y2:
            side = "above" if y < y2 else "below"
            asked.append(Asked(f"Is the {one.name} above or below the {other.name}?", side))
    return asked
