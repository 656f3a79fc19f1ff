"""How pictures become a tower's pixels: size, tiles and range, as a model was trained on them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from duomem_jax.base.errors import UserError
from duomem_jax.models.families.base import Arguments, HfConfig, positive, supported, whole
from duomem_jax.models.vision.tiles import Grid, Tiling

RESAMPLING = (Image.Resampling.LANCZOS, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


class Tiles(NamedTuple):
    """A picture as a tower sees it.

    Attributes:
        pixels_Bhwc: float32, normalised, one tile a row.
        grid: how they lie.
    """

    pixels_Bhwc: np.ndarray
    grid: Grid


@dataclass(frozen=True)
class Recipe:
    """From a picture to tiles.

    Attributes:
        side: height and width of a tile, in pixels.
        split: whether a picture may become several tiles.
        tiling: how it is cut.
        resample: how sizes are changed.
        scale: what a pixel, 0 to 255, is multiplied by.
        mean: of each colour, subtracted then.
        std: of each colour, divided by then.
    """

    side: int
    split: bool
    tiling: Tiling
    resample: Image.Resampling
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def tiles(self, picture: Image.Image) -> Tiles:
        """The tiles of a picture in mode RGB, of any size."""
        cut = self.tiling.cut(picture, self.side, self.resample, self.split)
        pixels = np.stack([np.asarray(tile) for tile in cut.tiles]).astype(np.float64)
        # Rounded where the reference rounds.
        scaled = (pixels * self.scale).astype(np.float32)
        mean, std = (np.array(colours, np.float32) for colours in (self.mean, self.std))
        return Tiles((scaled - mean) / std, cut.grid)


def common_recipe(hf: HfConfig, kinds: tuple[str, ...]) -> Arguments:
    """The arguments of `Recipe` that every family spells alike.

    Args:
        hf: fields of an image processor.
        kinds: names of the processors that work in this way.
    """
    kind = str(hf.get("image_processor_type"))
    supported({"image_processor_type": kind.removesuffix("Fast")}, "image_processor_type", *kinds)
    for step in ("do_convert_rgb", "do_resize", "do_rescale", "do_normalize"):
        supported(hf, step, True)
    return {
        "resample": Image.Resampling(supported(hf, "resample", *RESAMPLING)),
        "scale": positive(hf, "rescale_factor"),
        "mean": _colours(hf, "image_mean"),
        "std": _colours(hf, "image_std"),
    }


def _colours(hf: HfConfig, field: str) -> tuple[float, float, float]:
    """A field with a number above 0 for each colour."""
    found: Any = hf.get(field)
    if not isinstance(found, list) or len(found) != 3:
        raise UserError(
            f"config.json: field {field} is {found!r}; three numbers above 0 are needed"
        )
    red, green, blue = (positive({field: number}, field) for number in found)
    return red, green, blue


def edge(hf: HfConfig, field: str) -> int:
    """The longest edge that a field gives, in pixels."""
    return _only(hf, field, "longest_edge")


def square(hf: HfConfig, field: str) -> int:
    """The side of the square that a field gives, in pixels."""
    return _only(hf, field, "height", "width")


def _only(hf: HfConfig, field: str, *names: str) -> int:
    """The number that a field's parts of these names have in common, where it has no others."""
    found: Any = hf.get(field)
    # Files of some releases name all ways to give a size, and leave the others empty.
    given = {k: v for k, v in found.items() if v is not None} if isinstance(found, dict) else {}
    if set(given) != set(names) or len({str(v) for v in given.values()}) != 1:
        parts = " and ".join(names)
        raise UserError(
            f"config.json: field {field} is {found!r}; one number for {parts} is needed"
        )
    return whole(given, names[0])
