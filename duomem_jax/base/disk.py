"""A full disk, said once: storage libraries report it in several shapes."""

import contextlib
import errno
import os
from collections.abc import Iterator

from duomem_jax.base.errors import UserError
from duomem_jax.base.explain import is_out_of_memory

_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
# TensorStore, gRPC, ArrayRecord and SQLite wrap the number away; their texts keep one of these.
_SIGNS = (
    "No space left",
    "ENOSPC",
    "RESOURCE_EXHAUSTED",
    "quota exceeded",
    "database or disk is full",
)


@contextlib.contextmanager
def explain_full_disk(path: str | os.PathLike) -> Iterator[None]:
    """Turn any error that stems from a full disk into one sentence about `path`.

    Raises:
        UserError: the disk is full; other errors pass unchanged.
    """
    try:
        yield
    except UserError:
        raise  # explained further in, where the file at fault is known
    except Exception as e:
        # Libraries wrap the error of the system in one of their own.
        if any(_is_full_disk(link) for link in (e, e.__cause__, e.__context__)):
            raise UserError(
                f"{path}: the disk is full; free some space and run the same command again"
            ) from e
        raise


def _is_full_disk(error: BaseException | None) -> bool:
    # Of memory XLA says the same.
    if error is not None and is_out_of_memory(error):
        return False
    if getattr(error, "errno", None) in _ERRNOS:
        return True
    return any(sign in repr(error) for sign in _SIGNS)
