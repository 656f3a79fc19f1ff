"""A picture, what a caption says of it, and what can be asked about it."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL.Image import Image


@dataclass(frozen=True)
class Asked:
    """A question about a picture.

    Attributes:
        text: the question.
        answer: one word, or one time of day.
        told: whether the caption says it, so that nobody has to look.
    """

    text: str
    answer: str
    told: bool = False


class Drawn(NamedTuple):
    """What whoever drew a picture knows of it, as `Picture` has it."""

    caption: str
    asked: Sequence[Asked]
    written: str = ""


@dataclass(frozen=True)
class Picture:
    """A rendered picture.

    Attributes:
        kind: what it shows, one of `worlds.pictures.KINDS`.
        image: square, RGB.
        caption: what somebody would say who mentions it in passing.
        asked: all that is asked about it.
        written: what is written on it, line by line; "" where nothing is.
    """

    kind: str
    image: Image
    caption: str
    asked: tuple[Asked, ...]
    written: str


def png(image: Image) -> bytes:
    """The file of an image."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
