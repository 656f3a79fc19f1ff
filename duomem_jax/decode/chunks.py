"""What rows have yet to read, handed out in chunks of one size."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from duomem_jax.models.vision.merge import PictureFeatures


class Looked(NamedTuple):
    """The pictures among the new tokens of a row.

    Attributes:
        index_T: int32, which feature a token takes; -1: its own embedding.
        features_nD: those features, in the order of their tokens.
    """

    index_T: np.ndarray
    features_nD: np.ndarray

    def behind(self, tokens: int) -> "Looked":
        """The same with so many tokens in front."""
        return self._replace(index_T=np.pad(self.index_T, (tokens, 0), constant_values=-1))


NOTHING_SHOWN: Mapping[int, Looked] = MappingProxyType({})


class Chunk(NamedTuple):
    """A part of what some rows have to read; of the full size, since others would be compiled.

    Attributes:
        tokens_BT: int32, right padded.
        n_new_B: int32, tokens of each row.
        pictures: among these tokens; None: there are none.
    """

    tokens_BT: np.ndarray
    n_new_B: np.ndarray
    pictures: PictureFeatures | None


class Unread:
    """New tokens of some rows, from which chunks are taken until none are left."""

    def __init__(
        self, tokens: Mapping[int, Sequence[int]], pictures: Mapping[int, Looked], size: int
    ):
        """Begin.

        Args:
            tokens: of each row.
            pictures: among them, of rows that have any.
            size: T, tokens of a chunk.
        """
        self._rest = {slot: list(own) for slot, own in tokens.items() if own}
        self._pictures, self._size = pictures, size
        self._length = {slot: len(own) for slot, own in self._rest.items()}

    def __iter__(self) -> Iterator[int]:
        return iter(self._rest)

    def __len__(self) -> int:
        return len(self._rest)

    def chunks(self, slot: int) -> int:
        """Whole chunks that a row has yet to read."""
        return len(self._rest[slot]) // self._size

    def take(self, slots: Sequence[int], places: int) -> Chunk:
        """The next chunk of some rows, in a call of so many places."""
        tokens_BT = np.zeros((places, self._size), np.int32)
        index_BT, n_new_B = np.full_like(tokens_BT, -1), np.zeros(places, np.int32)
        shown: dict[int, np.ndarray] = {}
        for place, slot in enumerate(slots):
            rest = self._rest[slot]
            read, piece = self._length[slot] - len(rest), rest[: self._size]
            tokens_BT[place, : len(piece)], n_new_B[place] = piece, len(piece)
            if slot in self._pictures:
                index_T, features_nD = self._pictures[slot]
                wanted_T = index_T[read : read + len(piece)]
                shown[place] = features_nD[wanted_T[wanted_T >= 0]]
                # Of the chunk's own features, which are as many as its tokens at most.
                index_BT[place, : len(piece)] = np.where(
                    wanted_T >= 0, (wanted_T >= 0).cumsum() - 1, -1
                )
            self._rest[slot] = rest[self._size :]
            if not self._rest[slot]:
                del self._rest[slot]
        if not any(map(len, shown.values())):
            return Chunk(tokens_BT, n_new_B, None)
        width = next(iter(shown.values())).shape[1]
        features_BnD = np.zeros((places, self._size, width), np.float32)
        for place, own in shown.items():
            features_BnD[place, : len(own)] = own
        return Chunk(
            tokens_BT, n_new_B, PictureFeatures(jnp.asarray(features_BnD), jnp.asarray(index_BT))
        )
