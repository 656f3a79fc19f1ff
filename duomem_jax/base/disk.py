"""A full disk comes out of storage libraries in several shapes; say it once."""

import contextlib
import os
from collections.abc import Iterator

from duomem_jax.base.errors import UserError

SIGNS = ("No space left", "ENOSPC", "RESOURCE_EXHAUSTED", "Disk quota exceeded")


@contextlib.contextmanager
def explain_full_disk(path: str | os.PathLike) -> Iterator[None]:
    """Turn any error that stems from a full disk into one sentence about `path`."""
    try:
        yield
    except Exception as e:
        chain = [e, e.__cause__, e.__context__]
        if any(sign in repr(link) for sign in SIGNS for link in chain):
            raise UserError(
                f"{path}: the disk is full; free some space and run the same command again"
            ) from None
        raise
