"""How a picture is cut into the tiles that a tower sees: the ways of two families."""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from PIL import Image

from duomem_jax.base.errors import UserError

MOST_TILES = 64  # of a picture
LONGEST_EDGE = 4096  # pixels: transformers' processor never goes beyond


class Grid(NamedTuple):
    """How the tiles of a picture lie; of 1 by 1 it is a tile itself."""

    rows: int
    columns: int

    @property
    def tiles(self) -> int:
        """All tiles; where there are several, the whole picture is another one, the last."""
        count = self.rows * self.columns
        return count + (count > 1)


class Cut(NamedTuple):
    """A picture in tiles, row by row."""

    tiles: list[Image.Image]
    grid: Grid


class Tiling(Protocol):
    """A way to cut pictures."""

    def cut(self, picture: Image.Image, side: int, resample: Image.Resampling, split: bool) -> Cut:
        """The tiles of a picture.

        Args:
            picture: in mode RGB.
            side: height and width of a tile, in pixels.
            resample: how sizes are changed.
            split: whether there may be several tiles.
        """


@dataclass(frozen=True)
class ScaledTiles:
    """Idefics3's way: to one size, then to whole tiles, which changes the shape by less than one.

    Attributes:
        longest: pixels of the longer edge, which smaller pictures get too.
    """

    longest: int

    def __post_init__(self) -> None:
        if self.longest > LONGEST_EDGE:
            raise UserError(
                f"config.json: field size.longest_edge is {self.longest}; at most {LONGEST_EDGE} "
                "is supported"
            )

    def cut(self, picture: Image.Image, side: int, resample: Image.Resampling, split: bool) -> Cut:
        """As `Tiling.cut`."""
        picture = picture.resize(_scaled(*picture.size, self.longest), resample)
        if not split:
            return Cut([picture.resize((side, side), resample)], Grid(1, 1))
        grid = _whole(*picture.size, side)
        return _cut(picture, grid, side, resample, overview_after=True)


@dataclass(frozen=True)
class MatchedTiles:
    """InternVL's way: to the grid of all allowed ones whose shape is nearest the picture's.

    Attributes:
        least: tiles of a grid.
        most: tiles of a grid.
    """

    least: int
    most: int

    def __post_init__(self) -> None:
        if not self.least <= self.most <= MOST_TILES:
            raise UserError(
                f"config.json: fields min_patches and max_patches are {self.least} and "
                f"{self.most}; supported: up to {MOST_TILES}, the first not above the second"
            )

    def cut(self, picture: Image.Image, side: int, resample: Image.Resampling, split: bool) -> Cut:
        """As `Tiling.cut`."""
        grid = self.grid(*picture.size, side) if split else Grid(1, 1)
        return _cut(picture, grid, side, resample, overview_after=False)

    def grid(self, width: int, height: int, side: int) -> Grid:
        """The grid for a picture of that size; of equally near ones it depends on the pixels."""
        sizes = range(1, self.most + 1)
        grids = [
            Grid(rows, columns)
            for columns in sizes
            for rows in sizes
            if self.least <= rows * columns <= self.most
        ]
        best, nearest = Grid(1, 1), math.inf
        for grid in sorted(grids, key=lambda grid: grid.rows * grid.columns):
            distance = abs(width / height - grid.columns / grid.rows)
            # More tiles only for pictures that would fill at least half of their pixels.
            fills = width * height > 0.5 * side * side * grid.rows * grid.columns
            if distance < nearest or (distance == nearest and fills):
                best, nearest = grid, distance
        return best


def _cut(
    picture: Image.Image,
    grid: Grid,
    side: int,
    resample: Image.Resampling,
    *,
    overview_after: bool,
) -> Cut:
    """A picture as a grid of tiles; the overview is of it as it is, or as the grid shows it."""
    canvas = picture.resize((grid.columns * side, grid.rows * side), resample)
    corners = [
        (column * side, row * side) for row in range(grid.rows) for column in range(grid.columns)
    ]
    tiles = [canvas.crop((x, y, x + side, y + side)) for x, y in corners]
    if len(tiles) > 1:
        tiles.append((canvas if overview_after else picture).resize((side, side), resample))
    return Cut(tiles, grid)


def _scaled(width: int, height: int, longest: int) -> tuple[int, int]:
    """(width, height) whose longer edge is `longest`, and whose shorter one is even."""
    # The quotient first, as the reference rounds it.
    shape = width / height
    if width >= height:
        shorter = int(longest / shape)
        return longest, max(1, shorter + shorter % 2)
    shorter = int(longest * shape)
    return max(1, shorter + shorter % 2), longest


def _whole(width: int, height: int, side: int) -> Grid:
    """The grid of whole tiles for a picture of that size, the longer edge first."""
    shape = width / height
    if width >= height:
        columns = math.ceil(width / side)
        return Grid(math.ceil(int(columns * side / shape) / side), columns)
    rows = math.ceil(height / side)
    return Grid(rows, math.ceil(int(rows * side * shape) / side))
