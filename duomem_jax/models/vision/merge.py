"""Projected features in the place of picture tokens, with static shapes."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.base.errors import UserError


def picture_index(tokens_BT: np.ndarray, image_token: int) -> np.ndarray:
    """index_BT, int32: the k-th picture token of a row takes its k-th feature; others have -1."""
    seen_BT = np.asarray(tokens_BT) == image_token
    return np.where(seen_BT, seen_BT.cumsum(1) - 1, -1).astype(np.int32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PictureFeatures:
    """What stands for the pictures of each row.

    Attributes:
        features_BnD: projected features, padded to n of them a row.
        index_BT: int32, which of its row's features a token takes; -1: its own embedding.
    """

    features_BnD: jax.Array
    index_BT: jax.Array

    @classmethod
    def of(
        cls,
        tokens_BT: np.ndarray,
        image_token: int,
        features: Sequence[np.ndarray],
        room: int,
    ) -> "PictureFeatures":
        """The pictures of some rows, whose features are there already.

        Args:
            tokens_BT: int32.
            image_token: id of picture tokens.
            features: of each row [.., D], all its tiles one after another.
            room: n, the features that a row has room for: the same for batches of one program.

        Raises:
            UserError: a row has other features than picture tokens, or more than `room`.
        """
        index_BT = picture_index(tokens_BT, image_token)
        counts = index_BT.max(1, initial=-1) + 1
        for row, (count, own) in enumerate(zip(counts, features, strict=True)):
            if count != len(own):
                raise UserError(
                    f"row {row}: has {count} picture tokens and {len(own)} features of pictures; "
                    "give the pictures that its text was made with"
                )
            if count > room:
                raise UserError(
                    f"row {row}: has {count} picture tokens and there is room for {room}; give it "
                    "fewer pictures, or do not split them into tiles"
                )
        padded = [np.pad(np.asarray(own), [(0, room - len(own)), (0, 0)]) for own in features]
        return cls(jnp.asarray(np.stack(padded)), jnp.asarray(index_BT))

    def into(self, x_BTD: jax.Array) -> jax.Array:
        """The embeddings of the tokens, with features in the place of picture tokens."""
        index_BT1 = self.index_BT[..., None]
        taken_BTD = jnp.take_along_axis(self.features_BnD, jnp.maximum(index_BT1, 0), axis=1)
        return jnp.where(index_BT1 >= 0, taken_BTD.astype(x_BTD.dtype), x_BTD)
