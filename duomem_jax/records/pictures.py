"""Files of pictures, each named by its contents: one picture is there once, and is what it was."""

import contextlib
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_write_bytes
from duomem_jax.base.picture import read_picture

FOLDER = "pictures"  # beside the dialogues, or the store, that they belong to
_NAME = re.compile(r"[0-9a-f]{64}")


class Pictures:
    """A folder of pictures.

    Args:
        folder: made when the first picture is kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def keep(self, data: bytes) -> str:
        """Keep a picture, and give its name: the SHA-256 of its bytes.

        Args:
            data: of the file, in any format.

        Raises:
            UserError: the folder cannot be written.
        """
        name = hashlib.sha256(data).hexdigest()
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            atomic_write_bytes(path, data)
        return name

    def path(self, name: str) -> Path:
        """The file of a picture.

        Raises:
            UserError: it is not there, has been changed, or the name is none.
        """
        # A name from a file of others must not lead out of the folder.
        if not _NAME.fullmatch(name):
            raise UserError(f"{self._folder}: {name!r} is no name of a picture; give its SHA-256")
        path = self._folder / name
        if not path.is_file():
            raise UserError(f"{path}: no such picture; copy it there")
        if hashlib.sha256(path.read_bytes()).hexdigest() != name:
            raise UserError(f"{path}: is not the picture that it was; copy it again")
        return path

    def forget(self, name: str) -> None:
        """Remove a picture; nothing happens where it is not there.

        Raises:
            UserError: the name is none.
        """
        if not _NAME.fullmatch(name):
            raise UserError(f"{self._folder}: {name!r} is no name of a picture; give its SHA-256")
        (self._folder / name).unlink(missing_ok=True)


class Gathered:
    """Pictures in files of users: looked at when they are named, kept once there is a place."""

    def __init__(self) -> None:
        self._names: dict[Path, str] = {}
        self._files: dict[str, Path] = {}

    @property
    def content(self) -> str:
        """A hash of all that were looked at; "" where there were none."""
        names = "".join(sorted(self._files))
        return names and hashlib.sha256(names.encode()).hexdigest()

    def look(self, file: Path) -> str:
        """The name of the picture in a file: the SHA-256 of its bytes.

        Raises:
            UserError: the file is no picture that can be read.
        """
        if file not in self._names:
            name = hashlib.sha256(read_picture(file)).hexdigest()
            self._names[file] = name
            self._files[name] = file
        return self._names[file]

    def keep(self, names: Iterable[str], pictures: Pictures) -> None:
        """Keep pictures that were looked at.

        Args:
            names: of the pictures.
            pictures: where.

        Raises:
            UserError: a file has changed meanwhile; the folder cannot be written.
        """
        for name in names:
            file, data = self._files[name], b""
            with contextlib.suppress(OSError):
                data = file.read_bytes()
            if hashlib.sha256(data).hexdigest() != name:
                raise UserError(f"{file}: has changed meanwhile; run the same command again")
            pictures.keep(data)
