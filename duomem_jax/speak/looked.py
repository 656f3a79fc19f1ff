"""What a model sees in the pictures of its rows."""

from collections.abc import Iterable, Mapping

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.decode.chunks import Looked
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.models.vision.merge import picture_index
from duomem_jax.records.chat import Message, PicturePart, pictures_of


def shown_in(messages: Iterable[Message]) -> list[PicturePart]:
    """The pictures of some messages, in their order."""
    return [picture for message in messages for picture in pictures_of(message)]


def looked_at(
    eyes: Eyes | None, shown: Mapping[int, tuple[list[int], list[PicturePart]]]
) -> dict[int, Looked]:
    """What a model sees in its rows' pictures.

    Args:
        eyes: of the model; None: no row shows any.
        shown: new tokens of each row, and the pictures among them.

    Raises:
        UserError: a picture cannot be read, or the tokens are not the model's.
    """
    if eyes is None:
        return {}
    return {
        slot: _looked(eyes, ids, pictures) for slot, (ids, pictures) in shown.items() if pictures
    }


def _looked(eyes: Eyes, ids: list[int], pictures: list[PicturePart]) -> Looked:
    index_T = picture_index(np.array([ids]), eyes.config.image_token)[0]
    features_nD = np.concatenate([eyes.look(picture["path"]) for picture in pictures])
    if index_T.max() + 1 != len(features_nD):
        raise UserError(
            f"{eyes.folder}: its tokenizer does not spell pictures with the token "
            f"{eyes.config.image_token}, which config.json names; take the model's own"
        )
    return Looked(index_T, features_nD)
