"""SQLite files: opened the same way everywhere, with errors that a user can read."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from duomem_jax.base.disk import explain_full_disk
from duomem_jax.base.errors import UserError

# Of a damaged file that a stage has made.
REMEDY = "copy it again from its source, or delete it and run its stage again"
BUSY_SECONDS = 60.0  # others hold a file for milliseconds; on a slow network folder for seconds


def connect(path: Path, mode: Literal["rw", "rwc"]) -> sqlite3.Connection:
    """Open a database for use by many threads, one at a time; "rwc" makes a missing one.

    Raises:
        sqlite3.Error: `explain_database_errors` turns it into a sentence.
    """
    # Also for reading, SQLite needs leave to write: it undoes what a killed writer left half done.
    return sqlite3.connect(
        # As a URI, which alone can say "do not make it"; `as_uri` escapes ? and # in names.
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # transactions are begun here, not guessed by the module
        check_same_thread=False,
    )


def check_structure(database: sqlite3.Connection, path: Path, remedy: str = REMEDY) -> None:
    """Read a database to its end, at a gigabyte or two a second.

    Raises:
        UserError: rows and indices contradict each other.
    """
    ((found,),) = database.execute("PRAGMA integrity_check(1)")
    if found != "ok":
        raise damaged(path, found.splitlines()[-1], remedy)


@contextlib.contextmanager
def explain_database_errors(path: Path, remedy: str = REMEDY) -> Iterator[None]:
    """Turn what SQLite says of a file into one sentence.

    Args:
        path: the file.
        remedy: what to do where it is damaged.

    Raises:
        UserError: the file is damaged, in use or not writable, or the disk is full.
    """
    with explain_full_disk(path):
        try:
            yield
        except UnicodeDecodeError as e:  # of a message that quotes the file
            raise damaged(path, e, remedy) from e
        except sqlite3.DatabaseError as e:
            # The low byte is the error, the rest its shade. None comes with text that is not UTF-8;
            # SQLITE_ERROR, of our fixed statements, means a table or column that has lost its name.
            match getattr(e, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
                case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_ERROR:
                    raise damaged(path, e, remedy) from e
                case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                    allow = "choose another output folder or correct its permissions"
                    raise UserError(f"{path}: cannot be opened ({e}); {allow}") from e
                case sqlite3.SQLITE_BUSY:
                    end = "end the process that holds it and run the same command again"
                    raise UserError(f"{path}: in use for {BUSY_SECONDS:.0f} s; {end}") from e
                case sqlite3.SQLITE_IOERR:
                    check = "check the disk and its quota, then run the same command again"
                    raise UserError(f"{path}: {e}; {check}") from e
            raise


def damaged(path: Path, why: object, remedy: str = REMEDY) -> UserError:
    """The error for a file whose content cannot be what was written."""
    return UserError(f"{path}: damaged ({why}); {remedy}")
