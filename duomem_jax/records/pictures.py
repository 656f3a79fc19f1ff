"""Files of pictures, each named by its contents: one picture is there once, and is what it was."""

import contextlib
import hashlib
import os
import re
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Self

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_write_bytes, clear_os_errors
from duomem_jax.base.picture import read_picture
from duomem_jax.records.dialogues import Turn

FOLDER = "pictures"  # in the folder of the dialogues that they belong to
_NAME = re.compile(r"[0-9a-f]{64}")


class PictureFolder:
    """A folder of pictures.

    Args:
        folder: made when the first picture is kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    @classmethod
    def beside(cls, file: str | os.PathLike) -> Self:
        """Those that belong to one file, such as a store."""
        return cls(f"{os.fspath(file)}.{FOLDER}")

    @property
    def folder(self) -> Path:
        """Where they are; it need not be there."""
        return self._folder

    def names(self) -> list[str]:
        """All that are there, in order.

        Raises:
            UserError: the folder cannot be read.
        """
        with clear_os_errors(self._folder):
            held = os.listdir(self._folder) if self._folder.is_dir() else []
        return sorted(name for name in held if _NAME.fullmatch(name))

    def shared(self, turns: Iterable[Turn]) -> dict[str, Path]:
        """The files of what is shared in some turns, by the turns' ids.

        Raises:
            UserError: one is not there, or has been changed.
        """
        return {turn.id: self.path(turn.picture) for turn in turns if turn.picture}

    def keep(self, data: bytes) -> str:
        """Keep a picture, and give its name: the SHA-256 of its bytes.

        Args:
            data: of the file, in any format.

        Raises:
            UserError: the folder cannot be written.
        """
        name = name_of(data)
        path = self._folder / name
        with clear_os_errors(self._folder):
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
        if name_of(path.read_bytes()) != name:
            raise UserError(f"{path}: is not the picture that it was; copy it again")
        return path

    def forget(self, name: str) -> None:
        """Remove a picture; nothing happens where it is not there.

        Raises:
            UserError: the name is none.
        """
        if not _NAME.fullmatch(name):
            raise UserError(f"{self._folder}: {name!r} is no name of a picture; give its SHA-256")
        with clear_os_errors(self._folder):
            (self._folder / name).unlink(missing_ok=True)

    def retain(self, names: Container[str]) -> None:
        """Remove all pictures but these, and the folder with the last thing in it.

        Raises:
            UserError: the folder cannot be written.
        """
        held = self.names()
        for name in held:
            if name not in names:
                self.forget(name)
        with clear_os_errors(self._folder):
            if held and not os.listdir(self._folder):
                self._folder.rmdir()


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
            name = name_of(read_picture(file))
            self._names[file] = name
            self._files[name] = file
        return self._names[file]

    def keep(self, names: Iterable[str], pictures: PictureFolder) -> None:
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
            if name_of(data) != name:
                raise UserError(f"{file}: has changed meanwhile; run the same command again")
            pictures.keep(data)


def name_of(data: bytes) -> str:
    """The name of a picture whose file holds this."""
    return hashlib.sha256(data).hexdigest()
