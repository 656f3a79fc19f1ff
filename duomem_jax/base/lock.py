"""One writer of a file or a folder at a time, and who it is."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from duomem_jax.base.errors import UserError
from duomem_jax.base.folder import claim_folder
from duomem_jax.base.io import clear_os_errors

LOCK = ".lock"  # in a folder


def lock_for_writing(path: Path) -> FileLock:
    """Become the one writer of `path`, a file or a folder; readers are not kept out.

    The lock of a file lies beside it, that of a folder in it, where others find who holds it. What
    holds it is the system's, so that a killed process holds nothing.

    Raises:
        UserError: somebody else is writing, or the folder cannot be written.
    """
    file = path / LOCK if path.is_dir() else Path(f"{path}.lock")
    # By default a FileLock belongs to the thread that took it, and no other could release it.
    lock = FileLock(file, thread_local=False)
    with clear_os_errors(path):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            # At once: whoever writes holds it for the length of a run.
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"{path}: another process is writing this ({_holder(file)}); wait for it, end it, "
                "or choose another output folder (a part of the work has its own --shard)"
            ) from None
        # It is told for others only: a full disk is met, and explained, by what is written next.
        with contextlib.suppress(OSError):
            file.write_bytes(os.fsencode(_me()))
    return lock


def unlock(lock: FileLock) -> None:
    """Let others write. May be called twice."""
    if lock.is_locked:
        # Removed while it is held: whoever has opened it meanwhile sees that its name is gone.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def writing_alone(folder: str | os.PathLike, kind: str) -> Iterator[None]:
    """Take a folder for one kind of work and be its one writer within the block.

    Raises:
        UserError: as `claim_folder` and `lock_for_writing`.
    """
    lock = lock_for_writing(claim_folder(folder, kind))
    try:
        yield
    finally:
        unlock(lock)


def _me() -> str:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()} since {since}: {command}"


def _holder(file: Path) -> str:
    try:
        return (
            file.read_text(encoding="utf-8", errors="replace").strip()
            or "it does not say who it is"
        )
    except OSError:  # it has just ended
        return "it does not say who it is"
