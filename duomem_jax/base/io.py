"""Files appear whole or not at all: written under a temporary name, then renamed.

In a bucket (gs://...) an object appears whole by itself, and a folder is what its objects make it.
"""

import contextlib
import errno
import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from etils import epath

from duomem_jax.base.disk import explain_full_disk
from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.fields import check_value
from duomem_jax.base.parse import parse_json

REMOTE = "gs://"
_LONGEST_SLUG = 80  # letters; with what follows, a name stays below the 255 of file systems


@contextlib.contextmanager
def clear_os_errors(path: Path) -> Iterator[None]:
    """Turn what the system says while something is written into one sentence.

    Raises:
        UserError: a full disk, a missing permission, a name that is too long, a file where a folder
            is wanted; `path` is what the sentence names.
    """
    try:
        with explain_full_disk(path):
            yield
    except OSError as e:
        if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"{path}: not writable; choose another output folder") from e
        # Without a number it is no answer of the system, but a library's error of that class.
        if e.errno is None:
            raise
        raise UserError(
            f"{path}: cannot be written ({os.strerror(e.errno)}); choose another output folder"
        ) from e


def as_path(path: str | os.PathLike) -> Path:
    """A path on this machine, or one in a bucket that can be used like it.

    Raises:
        UserError: what speaks to buckets is not installed.
    """
    if not is_remote(path):
        return Path(path)
    if importlib.util.find_spec("gcsfs") is None:
        raise UserError(f"{path}: pip install duomem-jax[gcs] to write to a bucket")
    return cast(Path, epath.Path(path))


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path lies in a bucket."""
    return os.fspath(path).startswith(REMOTE)


def _is_refusal(error: Exception) -> bool:
    """Whether trying again is in vain: no such bucket, no account or none that may write."""
    if isinstance(error, FileNotFoundError):
        return True
    return str(error).startswith("Forbidden") or str(getattr(error, "code", "")) in ("401", "403")


@contextlib.contextmanager
def clear_remote_errors(path: Path) -> Iterator[None]:
    """Only refusals become a UserError; after errors that may pass a launcher starts again.

    Raises:
        UserError: there is no such bucket, or this account may not use it.
    """
    try:
        yield
    except Exception as e:  # gcsfs has no class of its own for most of them
        if not _is_refusal(e):
            raise
        raise UserError(
            f"{path}: not writable ({first_line(e)}); see that the bucket exists and that this "
            "account may write to it"
        ) from e


def atomic_write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` to `path`; a reader sees the old file or the new one, never a part.

    Raises:
        UserError: the disk is full, the folder or the bucket is not writable.
    """
    path = as_path(path)
    if is_remote(path):
        with clear_remote_errors(path):
            path.write_bytes(data)
        return
    with atomic_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write to, which becomes `path` on this machine when the block ends well.

    Raises:
        UserError: the disk is full or the folder is not writable.
    """
    with clear_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tmp = _temporary_sibling(path)
        try:
            # Beside the file it becomes: a rename is atomic only within one file system.
            with open(tmp, "xb") as f:
                yield f
                f.flush()
                # Before the rename, or a power cut may leave the new name without its data.
                os.fsync(f.fileno())
            os.replace(tmp, path)
        except BaseException:
            tmp.unlink(missing_ok=True)
            raise


def _temporary_sibling(path: Path) -> Path:
    """A free name beside `path`.

    `tempfile` would make the file too, readable by its owner only; made by `open` or `mkdir`, it
    has the permissions of any new file.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def atomic_write_text(path: str | os.PathLike, text: str) -> None:
    """UTF-8 form of `atomic_write_bytes`, of `readable` text."""
    atomic_write_bytes(path, readable(text).encode())


def readable(text: str) -> str:
    """Text that a file can hold, without halves of characters.

    Python has them in names of other letters than those of the system, one for each byte; where the
    bytes are UTF-8 they become letters again.
    """
    try:
        data = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # halves of other origin
        data = text.encode(errors="replace")
    return data.decode(errors="replace")


@contextlib.contextmanager
def atomic_dir(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary sibling folder that becomes `path` when the block ends well.

    Nothing is ever replaced: what lies at `path` may hold what somebody else has written. In a
    bucket the temporary folder is on this machine, objects of other names stay, and weights are
    written last: where they are, all is.

    Raises:
        UserError: there is a file or a folder that is not empty at `path`, now or at the end of the
            block; the disk is full, the folder or the bucket is not writable.
    """
    path = as_path(path)
    if is_remote(path):
        with tempfile.TemporaryDirectory() as local:
            yield Path(local)
            with clear_remote_errors(path):
                _upload(Path(local), path)
        return
    with clear_os_errors(path):
        check_free(path)
        # A link stays one: it is its target that is made.
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        tmp = _temporary_sibling(target)
        try:
            tmp.mkdir()
            yield tmp
            # A folder goes onto an empty one, and onto nothing else: not even a file that has come
            # since the check is lost.
            os.replace(tmp, target)
        except BaseException:
            shutil.rmtree(tmp, ignore_errors=True)
            raise


def check_free(path: Path) -> None:
    """Refuse a place for a new folder where something is.

    Raises:
        UserError: a file, a folder that is not empty, or the current one, which cannot be replaced
            under the feet of who stands in it.
    """
    if path.is_dir():
        what = "is not empty" if any(path.iterdir()) else ""
        if path.resolve() == Path.cwd():
            what = "is the current folder"
    else:
        what = "is a file" if path.exists() else ""
    if what:
        raise UserError(f"{path}: {what}; nothing is replaced, so choose another output folder")


def _upload(local: Path, remote: Path) -> None:
    files = [file.relative_to(local) for file in local.rglob("*") if file.is_file()]
    # False sorts before True: readers look for the weights, so these come when all else is there.
    for file in sorted(files, key=lambda file: (file.suffix == ".safetensors", file)):
        (remote / file).write_bytes((local / file).read_bytes())


def read_json(
    path: Path, *, missing: str, damaged: str, form: Any = dict[str, Any]
) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: the file.
        missing: the remedy where it is not there.
        damaged: the remedy where it holds something else.
        form: what the object looks like, such as a `TypedDict`.

    Raises:
        UserError: no such file, or it holds no JSON object of this form.
    """
    try:
        found = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {missing}") from None
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); {missing}") from None
    except ValueError as e:
        raise UserError(f"{path}: not valid JSON ({first_line(e)}); {damaged}") from None
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise UserError(f"{path}: holds a JSON {kind}, not an object with fields; {damaged}")
    try:
        check_value(found, form)
    except TypeError as e:
        raise UserError(f"{path}: damaged ({e}); {damaged}") from None
    return found


def slug(name: str) -> str:
    """A name as part of a file's: lower case, hyphens for all but letters and digits.

    Names of other letters than Latin ones, of signs and of great length lose too much on the way:
    digits of a hash keep them apart. Those that differ in case or in the signs between their words
    have one slug.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if re.fullmatch(r"[A-Za-z0-9]+([ ,+_-]+[A-Za-z0-9]+)*", name) and len(plain) <= _LONGEST_SLUG:
        return plain
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{plain[:_LONGEST_SLUG]}-{digest}".strip("-")
