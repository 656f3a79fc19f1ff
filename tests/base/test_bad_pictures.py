"""Files that are no pictures, broken ones, and ones made to do harm: one sentence each."""

import errno
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from seeing import made_up

from duomem_jax.base import picture as limits
from duomem_jax.base.commandline import run_command
from duomem_jax.base.errors import UserError
from duomem_jax.base.picture import open_picture, read_picture


def chunk(kind, data):
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(width, height, *chunks, data=b"\0" * 100):
    """A PNG that says it is of that size, whatever it holds."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"".join(chunks) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body


def saved(tmp_path, kind, **how):
    made_up().save(tmp_path / "good", kind, **how)
    return (tmp_path / "good").read_bytes()


def bomb_of_text():
    """A few bytes of text that become 200 MB."""
    return chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(200_000_000), 9))


BAD = {
    "text": (lambda _: b"no picture", "is no picture that can be read; save it as one of JPEG"),
    "empty": (lambda _: b"", "has 0 bytes"),
    "PostScript": (lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no picture"),
    "TIFF": (lambda p: saved(p, "TIFF"), "is no picture"),
    "half of a PNG": (lambda p: saved(p, "PNG")[:2000], "damaged"),
    "half of a JPEG": (lambda p: saved(p, "JPEG")[:1500], "damaged"),
    "half of a WebP": (lambda p: saved(p, "WEBP")[:1500], "damaged|is no picture"),
    "half of a GIF": (lambda p: saved(p, "GIF")[:1500], "damaged"),
    "half of a BMP": (lambda p: saved(p, "BMP")[:1500], "damaged"),
    "head alone": (lambda p: saved(p, "PNG")[:33], "is no picture"),
    "too little in it": (lambda _: png(50, 50), "damaged"),
    "bomb": (
        lambda _: png(30_000, 30_000),
        r"has more pixels than are read \(67,108,864\);",
    ),
    "just too large": (lambda _: png(8193, 8192), "has 8,193 x 8,192 pixels, and at most"),
    "no pixels": (lambda _: png(0, 5), "is no picture"),
    "bomb of text": (lambda _: png(5, 5, bomb_of_text()), "damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_sentence(name, tmp_path, monkeypatch):
    make, words = BAD[name]
    path = tmp_path / "bad.png"
    path.write_bytes(make(tmp_path))
    if "large" in name or name == "bomb":
        monkeypatch.setattr(Image.Image, "load", None)  # nothing may be decoded
    with pytest.raises(UserError, match=words) as e:
        open_picture(path)
    assert str(e.value).startswith(f"{path}: ")
    with pytest.raises(UserError, match=words):
        read_picture(path)
    assert ";" in str(e.value)  # and what to do


def test_a_command_ends_with_status_2_and_says_it(tmp_path, capsys):
    (tmp_path / "x.png").write_bytes(b"no picture")
    assert run_command("look", lambda: open_picture(tmp_path / "x.png") and None) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"look: {tmp_path / 'x.png'}: is no picture")


def test_what_is_no_file_is_refused_and_nothing_waits(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none", tmp_path / "a\0b", "/dev/zero"):
        for read in (open_picture, read_picture):
            with pytest.raises(UserError, match=r"is no file|cannot be read"):
                read(path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    made_up().save(tmp_path / "x.png")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(UserError, match=r"x\.png: cannot be read \(Permission denied\); give"):
        open_picture(tmp_path / "x.png")


def test_a_large_file_is_not_opened(tmp_path, monkeypatch):
    made_up().save(tmp_path / "x.bmp")
    monkeypatch.setattr(limits, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="pictures of 1 to 1,000 are read"):
        open_picture(tmp_path / "x.bmp")


def test_a_broken_orientation_is_none(tmp_path):
    for exif in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0", b"Exif\0\0" + b"MM\0*" * 30):
        made_up().save(tmp_path / "x.jpg", exif=exif)
        assert open_picture(tmp_path / "x.jpg").size == (61, 43)


def test_numbers_without_a_range_are_refused(tmp_path):
    numbers = Image.fromarray(np.ones((4, 4), np.int32))
    with pytest.raises(ValueError, match="32 bits"):
        limits.to_rgb(numbers)


def test_the_bytes_of_a_picture_are_those_of_its_file(tmp_path):
    data = saved(tmp_path, "JPEG") + b"what cameras leave behind it"
    (tmp_path / "x.jpg").write_bytes(data)
    assert read_picture(tmp_path / "x.jpg") == data
