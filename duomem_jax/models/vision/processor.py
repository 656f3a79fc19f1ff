"""Pictures and prompts as the model of a folder wants them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import read_json
from duomem_jax.base.picture import open_picture
from duomem_jax.models.families import SEEING
from duomem_jax.models.families.base import HfConfig
from duomem_jax.models.vision.config import VisionConfig
from duomem_jax.models.vision.load import load_vision_config
from duomem_jax.models.vision.recipe import Recipe, Tiles
from duomem_jax.models.vision.tiles import Grid
from duomem_jax.models.weight_files import AGAIN

# Today's file has all processors of a model, the older one that of its pictures.
TODAY, OLDER = "processor_config.json", "preprocessor_config.json"


@dataclass(frozen=True)
class Processor:
    """From files to tiles, and from a prompt to the tokens that these take the place of.

    Attributes:
        config: of the model's tower and projector.
        recipe: how pictures become tiles.
    """

    config: VisionConfig
    recipe: Recipe

    @property
    def placeholder(self) -> str:
        """What stands for a picture in a prompt."""
        return SEEING[self.config.family].placeholder

    def tiles(self, path: str | os.PathLike) -> Tiles:
        """The tiles of a picture in a file.

        Raises:
            UserError: the file holds none that can be read.
        """
        return self.recipe.tiles(open_picture(path))

    def grid(self, path: str | os.PathLike) -> Grid:
        """How the tiles of a picture in a file lie.

        Raises:
            UserError: the file holds none that can be read.
        """
        return self.recipe.grid(open_picture(path))

    def expand(self, prompt: str, grids: Sequence[Grid]) -> str:
        """A prompt in which each placeholder has become what its picture needs.

        Args:
            prompt: as a chat template makes it, one placeholder a picture.
            grids: of the pictures, in their order.

        Raises:
            UserError: there are more or fewer placeholders than pictures.
        """
        first, *rest = prompt.split(self.placeholder)
        if len(rest) != len(grids):
            raise UserError(
                f"prompt: has {len(rest)} times {self.placeholder} and {len(grids)} pictures; give "
                "one picture for each, and no text with that word in it"
            )
        spelled, tokens = SEEING[self.config.family].spelled, self.config.tile_tokens
        pictures = (spelled(grid, tokens) for grid in grids)
        return first + "".join(picture + text for picture, text in zip(pictures, rest, strict=True))


def load_processor(folder: str | os.PathLike, split: bool | None = None) -> Processor:
    """The processor of a Hugging Face folder.

    Args:
        folder: with a config.json and processor_config.json or preprocessor_config.json.
        split: whether a picture may become several tiles; None: as the folder says.

    Raises:
        UserError: a missing or damaged file, a model that does not see, unsupported fields.
    """
    config = load_vision_config(folder)
    path, fields = _fields(Path(folder))
    try:
        recipe = SEEING[config.family].recipe(fields)
    except UserError as e:
        # The readers of fields name the file where most fields are.
        raise UserError(f"{path}: {str(e).removeprefix('config.json: ')}") from None
    if recipe.side != config.tower.image_size:
        raise UserError(
            f"{path}: makes tiles of {recipe.side} pixels a side, and the tower in config.json "
            f"wants {config.tower.image_size}; {AGAIN}"
        )
    return Processor(config, recipe if split is None else replace(recipe, split=split))


def _fields(folder: Path) -> tuple[Path, HfConfig]:
    """The fields of a folder's image processor, and the file they are in."""
    path = folder / TODAY
    if path.exists():
        found = read_json(path, missing=AGAIN, damaged=AGAIN).get("image_processor")
        if isinstance(found, dict):
            return path, found
    path = folder / OLDER
    return path, read_json(path, missing=AGAIN, damaged=AGAIN)
