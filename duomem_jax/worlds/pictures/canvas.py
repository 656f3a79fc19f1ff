"""Drawing in parts of a square, whatever its size in pixels."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

# All of them take "a" before them.
COLOURS = {
    "red": (214, 40, 40),
    "pink": (250, 140, 190),
    "yellow": (255, 214, 10),
    "green": (56, 142, 60),
    "blue": (33, 100, 200),
    "purple": (123, 44, 191),
    "brown": (121, 85, 72),
    "black": (20, 20, 20),
}
PAPER = (250, 248, 240)
INK = (30, 30, 30)
_FINER = 4  # drawn so many times larger, then averaged: PIL does not smooth edges itself
Point = tuple[float, float]
Colour = tuple[int, int, int]


class Canvas:
    """A square of paper. Places and lengths are parts of its side; (0, 0) is the upper left.

    Args:
        size: pixels of a side.
    """

    def __init__(self, size: int) -> None:
        self._size, self._side = size, size * _FINER
        self._image = Image.new("RGB", (self._side, self._side), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """A filled circle."""
        x, y = centre
        box = self._points([(x - radius, y - radius), (x + radius, y + radius)])
        self._draw.ellipse(box, fill=colour)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        self._draw.polygon(self._points(points), fill=colour)

    def box(self, upper_left: Point, lower_right: Point, colour: Colour) -> None:
        """A filled rectangle."""
        self._draw.rectangle(self._points([upper_left, lower_right]), fill=colour)

    def line(self, start: Point, end: Point, width: float, colour: Colour) -> None:
        """A straight line."""
        pixels = max(1, round(width * self._side))
        self._draw.line(self._points([start, end]), fill=colour, width=pixels)

    def text(self, centre: Point, text: str, width: float, colour: Colour) -> None:
        """A line of text, as large as fits into a width."""
        # The font that comes with PIL; 100 is any size at which letters are measured well.
        left, _, right, _ = ImageFont.load_default(100).getbbox(text)
        font = ImageFont.load_default(100 * width * self._side / (right - left))
        self._draw.text(self._points([centre])[0], text, fill=colour, font=font, anchor="mm")

    def words(self, left: Point, text: str, height: float, colour: Colour) -> None:
        """A line of text that begins at a point, its letters as high as those of all such lines."""
        font = ImageFont.load_default(height * self._side)
        self._draw.text(self._points([left])[0], text, fill=colour, font=font, anchor="lm")

    def finish(self) -> Image.Image:
        """The picture."""
        return self._image.resize((self._size, self._size), Image.Resampling.BOX)

    def _points(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._side, y * self._side) for x, y in points]


def around(centre: Point, radius: float, turn: float) -> Point:
    """The point at a distance from another one; `turn` 0 is up, 0.25 right."""
    angle = 2 * math.pi * turn
    return centre[0] + radius * math.sin(angle), centre[1] - radius * math.cos(angle)
