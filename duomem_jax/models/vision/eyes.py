"""A model's tower and projector at work: picture files to words of a prompt, and to features."""

import functools
import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from duomem_jax.models.config import DTYPES
from duomem_jax.models.families import SEEING
from duomem_jax.models.hf import file_digest, read_config
from duomem_jax.models.shapes import tree_bytes
from duomem_jax.models.vision.config import Tiled, VisionConfig
from duomem_jax.models.vision.load import load_vision, load_vision_config
from duomem_jax.models.vision.model import VisionModel
from duomem_jax.models.vision.processor import OLDER, TODAY, Processor, load_processor
from duomem_jax.records.chat import PicturePart

CALL = 8  # tiles that go through the tower at once
# Bytes of features that are remembered: questions about one picture come one after another. One of
# SmolVLM takes 0.1 MB a tile, one of InternVL3-2B 1.5 MB.
KEPT = 64 * 2**20

_MAY_SPLIT: dict[Tiled, bool | None] = {"": None, "one": False, "several": True}


class Eyes:
    """What a model that sees has before its decoder; weights are read when they are needed first.

    Attributes:
        folder: of Hugging Face.
        dtype: of the parameters and the activations.
        config: of tower and projector.
    """

    def __init__(self, folder: str | os.PathLike, tiled: Tiled = "", dtype: str = "float32"):
        """Read the model's config alone.

        Args:
            folder: of Hugging Face, of a model that sees.
            tiled: whether a picture may become several tiles.
            dtype: of the parameters and the activations.

        Raises:
            UserError: a missing or damaged config.json, a model that does not see.
        """
        self.folder, self.dtype = folder, dtype
        self.config: VisionConfig = load_vision_config(folder, dtype)
        self._tiled: Tiled = tiled
        self._seen = _Seen(KEPT)

    @functools.cached_property
    def processor(self) -> Processor:
        """From files to tiles; a model that is shown no picture needs none.

        Raises:
            UserError: a missing or damaged file, unsupported fields.
        """
        return load_processor(self.folder, _MAY_SPLIT[self._tiled])

    def identity(self) -> dict[str, str]:
        """What pictures look like, beside the model's weights; JSON."""
        digest = hashlib.sha256()
        for file in (Path(self.folder, name) for name in (TODAY, OLDER)):
            digest.update(file_digest(file) if file.exists() else b"")
        return {"tiles": self._tiled, "processor": digest.hexdigest()}

    def expand(self, prompt: str, pictures: Sequence[PicturePart]) -> str:
        """See `text.sight.Sight`; the files are opened, and their tiles not made."""
        if not pictures and SEEING[self.config.family].placeholder not in prompt:
            return prompt
        return self.processor.expand(prompt, [self.processor.grid(p["path"]) for p in pictures])

    @property
    def weight_bytes(self) -> int:
        """What tower and projector take in memory."""
        shapes = VisionModel(self.config).shapes()["params"]
        held = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, DTYPES[self.dtype]), shapes)
        return tree_bytes(held)

    def look(self, path: str) -> np.ndarray:
        """features_nD, float32, of all tiles of a picture, one after another.

        Raises:
            UserError: the file holds no picture that can be read.
        """
        # By content: a file may have been replaced since.
        digest = file_digest(Path(path))
        known_nD = self._seen.get(digest)
        if known_nD is not None:
            return known_nD
        features_BTD = self.features(self.processor.tiles(path).pixels_Bhwc)
        features_nD = features_BTD.reshape(-1, features_BTD.shape[-1])
        self._seen.add(digest, features_nD)
        return features_nD

    def features(self, tiles_Bhwc: np.ndarray) -> np.ndarray:
        """features_BTD, float32: what stands in the decoder for each tile."""
        calls = [self._call(tiles_Bhwc[i : i + CALL]) for i in range(0, len(tiles_Bhwc), CALL)]
        return np.concatenate(calls)

    def _call(self, tiles_Bhwc: np.ndarray) -> np.ndarray:
        # Of a few sizes, since each is compiled.
        count = len(tiles_Bhwc)
        room = [(0, (1 << (count - 1).bit_length()) - count)] + [(0, 0)] * 3
        return np.asarray(self._see(np.pad(tiles_Bhwc, room)), np.float32)[:count]

    @functools.cached_property
    def _see(self) -> functools.partial[jax.Array]:
        config, params = load_vision(self.folder, self.dtype)
        return functools.partial(jax.jit(VisionModel(config).features), params)


class _Seen:
    """Features of the pictures that were looked at last, as many as have room.

    Args:
        room: bytes of all of them; one alone may take more.
    """

    def __init__(self, room: int) -> None:
        self._room, self._held = room, 0
        self._features: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def get(self, digest: bytes) -> np.ndarray | None:
        """features_nD of a picture, by the digest of its file."""
        if digest in self._features:
            self._features.move_to_end(digest)
        return self._features.get(digest)

    def add(self, digest: bytes, features_nD: np.ndarray) -> None:
        """Remember a picture, and forget those that were looked at longest ago."""
        if digest in self._features:
            return
        self._features[digest] = features_nD
        self._held += features_nD.nbytes
        while self._held > self._room and len(self._features) > 1:
            _, forgotten_nD = self._features.popitem(last=False)
            self._held -= forgotten_nD.nbytes


def open_eyes(folder: str | os.PathLike, tiled: Tiled = "", dtype: str = "float32") -> Eyes | None:
    """The eyes of a folder's model; None where it does not see.

    Raises:
        UserError: a missing or damaged config.json.
    """
    sees = read_config(folder, lambda hf: hf["model_type"]) in SEEING
    return Eyes(folder, tiled, dtype) if sees else None
