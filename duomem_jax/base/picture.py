"""Pictures from files of users: checked before they are decoded, upright, in three colours."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from duomem_jax.base.errors import UserError, first_line

# Of all that Pillow reads: nothing that starts another program, or that only a few systems decode.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MOST_BYTES = 1 << 28  # of a file
MOST_PIXELS = 1 << 26  # 192 MiB once decoded; Pillow's own first limit is a third above
DEEP = ("I", "F")  # one number of 32 bits a pixel, of any range
WHITE = (255, 255, 255, 255)


def open_picture(path: str | os.PathLike) -> Image.Image:
    """A picture in mode RGB, turned upright, what is transparent in front of white.

    Of a moving one it is the first picture. Grey of 16 bits keeps its upper eight.

    Args:
        path: of a file in one of `FORMATS`.

    Raises:
        UserError: no such file, one that is too large, damaged or of another format.
    """
    path = Path(path)
    _check_file(path)
    with _one_sentence(path):
        return _decoded(path, path)


def read_picture(path: str | os.PathLike) -> bytes:
    """The bytes of a file that `open_picture` reads without complaint.

    Raises:
        UserError: as `open_picture`.
    """
    path = Path(path)
    _check_file(path)
    with _one_sentence(path):
        data = path.read_bytes()
        # Of the bytes that are given, whatever happens to the file meanwhile.
        _decoded(path, io.BytesIO(data))
        return data


def _decoded(path: Path, file: Path | io.BytesIO) -> Image.Image:
    with Image.open(file, formats=FORMATS) as picture:
        # Only the head has been read so far.
        width, height = picture.size
        if not 0 < width * height <= MOST_PIXELS:
            raise UserError(
                f"{path}: has {width:,} x {height:,} pixels, and at most {MOST_PIXELS:,} are read; "
                "save it smaller"
            )
        picture.load()
        return to_rgb(picture)


def to_rgb(picture: Image.Image) -> Image.Image:
    """A decoded picture as `open_picture` gives it.

    Raises:
        ValueError: its pixels have no colours that are known.
    """
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in DEEP:
        raise ValueError(f"mode {picture.mode}: numbers of 32 bits, whose range is not known")
    if picture.mode.startswith("I;16"):
        # Pillow would cut off at 255, so that nearly all of the picture were white.
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if "A" in picture.getbands() or picture.info.get("transparency") is not None:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture)
    return picture.convert("RGB")


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); give a picture") from None
    except ValueError as e:  # a null byte in the name
        raise UserError(
            f"{str(path)!r}: cannot be read ({first_line(e)}); give a picture"
        ) from None
    # A pipe or a device might never end.
    if not path.is_file():
        raise UserError(f"{path}: is no file; give a picture")
    if not 0 < size <= MOST_BYTES:
        raise UserError(
            f"{path}: has {size:,} bytes, and pictures of 1 to {MOST_BYTES:,} are read; give "
            "another"
        )


@contextlib.contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Whatever a decoder says of a file, as a UserError."""
    try:
        # Pillow warns of what it then reads well enough, such as EXIF data that is cut short.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (UserError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise UserError(
            f"{path}: is no picture that can be read; save it as one of {', '.join(FORMATS)}"
        ) from None
    except Image.DecompressionBombError:
        raise UserError(
            f"{path}: has more pixels than are read ({MOST_PIXELS:,}); save it smaller"
        ) from None
    # Damaged files end in errors of a dozen classes, some of them of Python's own.
    except Exception as e:
        if isinstance(e, OSError) and e.errno:  # of the system, not of a decoder
            raise UserError(f"{path}: cannot be read ({e.strerror}); give a picture") from None
        raise UserError(
            f"{path}: damaged, or of an unusual kind ({first_line(e)}); save it again as PNG or "
            "JPEG"
        ) from None
