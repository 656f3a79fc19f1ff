"""What a model's tokens need to know of pictures; `models.vision` and `data.pictures` know more."""

from collections.abc import Sequence
from typing import Protocol

from duomem_jax.records.chat import PicturePart


class Sight(Protocol):
    """Says how pictures are spelled for one model."""

    def expand(self, prompt: str, pictures: Sequence[PicturePart]) -> str:
        """A text in which each placeholder has become what its picture needs.

        Args:
            prompt: as a chat template makes it, one placeholder a picture.
            pictures: in their order.

        Raises:
            UserError: there are more or fewer placeholders than pictures, or one is not known.
        """
        ...
