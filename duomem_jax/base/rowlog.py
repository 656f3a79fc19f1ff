"""Rows of one dataclass in a log; a run can stop anywhere and go on where it stopped."""

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import record_of
from duomem_jax.base.log import Log, read_log, refuse_other_config
from duomem_jax.base.parse import parse_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")


class RowLog(Generic[Row]):
    """A shared `Log` of rows that belongs to one configuration; a context manager.

    Rows are stored as JSON, not as columns: SQLite has no NaN and would return NULL for one.

    Attributes:
        path: the SQLite file.
        rows: what it held when it was opened.

    Raises:
        UserError: as `Log`, or a stored row is not of this kind.
    """

    def __init__(self, path: str | os.PathLike, config: dict[str, Any], kind: type[Row]):
        """Open or begin a log.

        Args:
            path: the SQLite file.
            config: what the rows depend on; JSON.
            kind: dataclass of a row, with plain fields.
        """
        self.path = Path(path)
        self._log = Log(self.path, config, shared=True)
        try:
            self.rows = _parse(self._log.records(), self.path, kind)
        # A file that is refused must not stay locked.
        except BaseException:
            self._log.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def append(self, *rows: Row) -> None:
        """Add rows, all or none of them; they are safe from a kill when this returns."""
        records = [json.dumps(dataclasses.asdict(row)).encode() for row in rows]
        # Units have unique keys; the count of those before is one, as a log has one writer.
        self._log.append(str(self._log.units), records, {})

    def close(self) -> None:
        """Let others write; the file stays."""
        self._log.close()


def read_rows(
    path: str | os.PathLike, kind: type[Row], config: dict[str, Any] | None = None
) -> list[Row]:
    """Rows of one file, whose writer may be at work, in the order of appending.

    Args:
        path: the SQLite file.
        kind: dataclass of a row.
        config: what made the rows; None: it does not matter.

    Raises:
        UserError: the file is missing or damaged, a row is not of this kind, or the rows were made
            by another configuration.
    """
    path = Path(path)
    theirs, records = read_log(path)
    # Without rows nothing was made by another configuration.
    if config is not None and records:
        refuse_other_config(path, theirs, config)
    return _parse(records, path, kind)


def read_with_config(path: str | os.PathLike, kind: type[Row]) -> tuple[dict[str, Any], list[Row]]:
    """(what made them, rows) of one file at one moment.

    Raises:
        UserError: the file is missing or damaged, or a row is not of this kind.
    """
    config, records = read_log(Path(path))
    return config, _parse(records, Path(path), kind)


def _parse(records: Iterable[bytes], path: Path, kind: type[Row]) -> list[Row]:
    rows = []
    for number, record in enumerate(records, 1):
        try:
            # A dataclass takes any value, so rows of another version might pass unnoticed.
            rows.append(record_of(kind, parse_json(record)))
        except (ValueError, TypeError) as e:
            raise UserError(
                f"{path}: row {number} is not a {kind.__name__.lower()} ({e}); another version "
                "wrote it, so choose another output folder"
            ) from e
    return rows
