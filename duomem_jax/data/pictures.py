"""Pictures as a frozen tower and projector see them: made once, read in every epoch.

A record is a tile of a picture, and the tiles of one picture follow each other:

    sha256      uint8 [32], of the picture's file
    grid        int32 [2], rows and columns of its tiles
    features    float16 [tokens of a tile, D]

Next to the decoder's own embeddings these numbers are a few units in size; float16 keeps eleven
bits of them, and bfloat16 would keep eight.
"""

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import check_fields
from duomem_jax.base.progress import Progress
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.vision.eyes import CALL, Eyes
from duomem_jax.models.vision.processor import Processor, load_processor
from duomem_jax.models.vision.recipe import Tiles
from duomem_jax.models.vision.tiles import Grid
from duomem_jax.objectives import Batch
from duomem_jax.records.chat import PicturePart
from duomem_jax.records.store.features import Layout
from duomem_jax.records.store.manifest import content_hash, file_sha256, split_facts
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import PICTURES, SPLIT
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset

AGAIN = "write the pictures again with `duomem pictures`"


@dataclasses.dataclass(frozen=True)
class PictureFacts:
    """A folder of pictures.

    Attributes:
        folder: where they are.
        content: hash over all records.
        model: fingerprint of the model that sees them so.
        image_token: id of the token in whose place a feature goes.
        tile_tokens: tokens of a tile.
        width: D of the model.
    """

    folder: str
    content: str
    model: str
    image_token: int
    tile_tokens: int
    width: int

    @classmethod
    def read(cls, folder: str | os.PathLike) -> "PictureFacts":
        """The facts in a folder's manifest.

        Raises:
            UserError: no complete pictures there.
        """
        config = split_facts(Path(folder), SPLIT, PICTURES)["config"]
        names = ("model", "image_token", "tile_tokens", "width")
        try:
            facts = cls(str(folder), content_hash(folder), **{name: config[name] for name in names})
            check_fields(facts)
        except (KeyError, TypeError) as e:
            raise UserError(f"{folder}: manifest.json lacks or has a wrong {e}; {AGAIN}") from None
        return facts


def layout_of(tile_tokens: int, width: int) -> Layout:
    """Record layout of tiles of so many tokens, for a model of that width."""
    return {
        "sha256": ("uint8", (32,)),
        "grid": ("int32", (2,)),
        "features": ("float16", (tile_tokens, width)),
    }


def build_pictures(
    pictures: Iterable[PicturePart],
    eyes: Eyes,
    out: str | os.PathLike,
    *,
    source: Mapping[str, str],
    shard: Shard = WHOLE,
) -> WriteReport:
    """Run the tower over each picture once, whoever shows it; resumes where it stopped.

    Args:
        pictures: of chats; their files are there, as they were when the chats were stored.
        eyes: of the model.
        out: folder to write.
        source: what the pictures were found in, by content.
        shard: the part to write, in parallel with others.

    Raises:
        UserError: there is no picture, one cannot be read or has changed, or an output folder of
            another config.
    """
    files: dict[str, str] = {}
    for part in pictures:
        files.setdefault(picture_hash(part), part["path"])
    if not files:
        raise UserError(f"{out}: no message shows a picture; give other demonstrations")
    processor, vision = eyes.processor, eyes.config
    layout = layout_of(vision.tile_tokens, vision.projector.d_out)
    config = {
        "model": fingerprint(eyes.folder),
        "recipe": dataclasses.asdict(processor.recipe),
        "dtype": eyes.dtype,
        "image_token": vision.image_token,
        "tile_tokens": vision.tile_tokens,
        "width": vision.projector.d_out,
    }
    spec = DatasetSpec(PICTURES, layout, source=dict(source), config=config, compress=False)

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        with Progress(len(keys), "the tower sees", good="", unit="picture") as progress:
            for group in _groups(keys, files, processor):
                pixels = np.concatenate([tiles.pixels_Bhwc for tiles in group.values()])
                ends = np.cumsum([tiles.grid.tiles for tiles in group.values()])
                split = np.split(eyes.features(pixels), ends[:-1])
                for (key, tiles), features in zip(group.items(), split, strict=True):
                    yield key, _records(key, tiles.grid, features, files[key]), {"pictures": 1}
                    progress.add()

    report = write_dataset(out, list(files), make, spec, shard)
    return report.with_details(f"{report.counts.get('pictures', 0):,} pictures")


def picture_hash(part: PicturePart) -> str:
    """SHA-256 of what a picture's file held when its chat was stored, or holds now."""
    return part.get("sha256") or file_sha256(Path(part["path"]))


def _groups(
    keys: list[str], files: Mapping[str, str], processor: Processor
) -> Iterator[dict[str, Tiles]]:
    """The tiles of some pictures at a time, enough of them for the tower."""
    group: dict[str, Tiles] = {}
    for key in keys:
        group[key] = _tiles(key, files[key], processor)
        if sum(tiles.grid.tiles for tiles in group.values()) >= CALL or key == keys[-1]:
            yield group
            group = {}


def _tiles(key: str, path: str, processor: Processor) -> Tiles:
    tiles = processor.tiles(path)
    # After reading: a file that is missing has a sentence of its own.
    if file_sha256(Path(path)) != key:
        raise UserError(
            f"{path}: is another picture than when its chat was imported; put that one back, or "
            "import the chats again"
        )
    return tiles


def _records(key: str, grid: Grid, features_BTD: np.ndarray, path: str) -> list[dict]:
    with np.errstate(over="ignore"):
        stored_BTD = features_BTD.astype(np.float16)
    if not np.isfinite(stored_BTD).all():
        raise UserError(
            f"{path}: the model sees what float16 cannot hold in it; see that its weights are whole"
        )
    name = np.frombuffer(bytes.fromhex(key), np.uint8)
    place = np.array(grid, np.int32)
    return [{"sha256": name, "grid": place, "features": x_TD} for x_TD in stored_BTD]


class StoredPictures:
    """What `build_pictures` wrote.

    Attributes:
        facts: what the folder says of itself.
    """

    def __init__(self, folder: str | os.PathLike):
        """Open a folder.

        Raises:
            UserError: missing, damaged or something else.
        """
        self.facts = PictureFacts.read(folder)
        self._records = read_dataset(folder, SPLIT, PICTURES)
        said = self.facts.tile_tokens, self.facts.width
        if len(self._records) and self._records[0]["features"].shape != said:
            raise UserError(
                f"{folder}: manifest.json speaks of {said} numbers a tile, and the tiles have "
                f"others; {AGAIN}"
            )

    @functools.cached_property
    def _places(self) -> dict[str, tuple[int, Grid]]:
        """The first tile of each picture, and how its tiles lie; one pass over the pictures."""
        places, at = {}, 0
        while at < len(self._records):
            record = self._records[at]
            grid = Grid(*record["grid"].tolist())
            if min(grid) < 1:
                raise UserError(f"{self.facts.folder}: tile {at} lies in no grid; {AGAIN}")
            places[record["sha256"].tobytes().hex()] = at, grid
            at += grid.tiles
        return places

    def grid(self, part: PicturePart) -> Grid:
        """How the tiles of a picture lie.

        Raises:
            UserError: it is none of these pictures.
        """
        return self._place(part)[1]

    def tiles(self, parts: Iterable[PicturePart]) -> tuple[int, ...]:
        """Numbers of the tiles of some pictures, one after another."""
        found: list[int] = []
        for at, grid in map(self._place, parts):
            found += range(at, at + grid.tiles)
        return tuple(found)

    def _place(self, part: PicturePart) -> tuple[int, Grid]:
        try:
            return self._places[picture_hash(part)]
        except KeyError:
            raise UserError(
                f"{self.facts.folder}: does not hold {part['path']}; name its demonstrations when "
                "you run `duomem pictures`"
            ) from None

    def shown(self, batch: Batch) -> Batch:
        """A batch of rows with the features of their pictures.

        Raises:
            UserError: the rows show other tiles than there are.
        """
        seen = batch.seen
        if seen is None:
            return batch
        B, P = seen.tiles_BP.shape
        tokens, width = self.facts.tile_tokens, self.facts.width
        # Beyond an array JAX reads whatever comes last.
        if seen.tiles_BP.max() >= len(self._records) or seen.index_BT.max() >= P * tokens:
            raise UserError(
                f"{self.facts.folder}: a row shows what is not among these pictures; write the "
                "rows again"
            )
        features_BPTD = np.zeros((B, P, tokens, width), np.float16)
        for place in zip(*np.nonzero(seen.tiles_BP >= 0), strict=True):
            features_BPTD[place] = self._records[int(seen.tiles_BP[place])]["features"]
        features_BnD = features_BPTD.reshape(B, P * tokens, width)
        return dataclasses.replace(batch, seen=dataclasses.replace(seen, features_BnD=features_BnD))


@dataclasses.dataclass(frozen=True)
class StoredSight:
    """How rows spell pictures that are stored; a `text.sight.Sight`."""

    pictures: StoredPictures
    processor: Processor

    def expand(self, prompt: str, pictures: Sequence[PicturePart]) -> str:
        """See the protocol; no file is opened."""
        return self.processor.expand(prompt, [self.pictures.grid(part) for part in pictures])


def stored_sight(folder: str | os.PathLike, model: str | os.PathLike) -> StoredSight:
    """How a model's rows spell the pictures of a folder.

    Raises:
        UserError: one of the folders is missing or damaged, or another model saw these pictures.
    """
    pictures, processor = StoredPictures(folder), load_processor(model)
    if pictures.facts.model != (found := fingerprint(model)):
        raise UserError(
            f"{folder}: holds pictures as the model {pictures.facts.model[:12]} sees them, not as "
            f"{model} ({found[:12]}) does; {AGAIN}"
        )
    return StoredSight(pictures, processor)
