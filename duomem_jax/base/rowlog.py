"""Rows as JSON Lines; a run can stop anywhere and go on where it stopped."""

import dataclasses
import json
import os
import warnings
from pathlib import Path
from typing import Any, Generic, TypeVar, get_origin

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_write_text, clear_os_errors

Row = TypeVar("Row")


class RowLog(Generic[Row]):
    """An append-only file of rows that belongs to one configuration.

    `<name>.jsonl` holds the rows, `<name>.config.json` beside it the configuration that made them.

    Attributes:
        path: the JSON Lines file.
        rows: what it held when it was opened.

    Raises:
        UserError: the file was made by another configuration, or a line is not such a row.
    """

    def __init__(self, path: str | os.PathLike, config: dict[str, Any], kind: type[Row]):
        """Open or begin a log.

        Args:
            path: the JSON Lines file.
            config: what the rows depend on; JSON.
            kind: dataclass of a row, with plain fields.
        """
        self.path = Path(path)
        check_config(self.path, config)
        _repair_tail(self.path, kind)
        self.rows = read_rows(self.path, kind) if self.path.exists() else []

    def append(self, *rows: Row) -> None:
        """Add rows; their lines are on disk when this returns."""
        lines = "".join(json.dumps(dataclasses.asdict(row)) + "\n" for row in rows)  # type: ignore[call-overload]
        # One write on an O_APPEND descriptor: lines of two writers never interleave.
        with clear_os_errors(self.path):
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(fd, lines.encode())
            finally:
                os.close(fd)


def check_config(path: Path, config: dict[str, Any]) -> None:
    """Write the configuration beside a log that has no rows yet, or compare it.

    Raises:
        UserError: the rows were made by another configuration.
    """
    config = json.loads(json.dumps(config))
    side = path.with_suffix(".config.json")
    if not (path.exists() and path.stat().st_size):  # nothing to mix up yet
        atomic_write_text(side, json.dumps(config, indent=2, sort_keys=True) + "\n")
        return
    if not side.exists():
        raise UserError(
            f"{path}: its {side.name} is missing, so the rows cannot be continued;"
            " choose another output folder"
        )
    old = json.loads(side.read_text())
    if old != config:
        keys = sorted(k for k in old.keys() | config.keys() if old.get(k) != config.get(k))
        raise UserError(
            f"{path}: made by another configuration (different: {', '.join(keys)});"
            " choose another output folder or delete this file and its .config.json"
        )


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Rows of one JSON Lines file; a last line cut off by a crash is ignored with a warning.

    Raises:
        UserError: a line is not such a row.
    """
    rows = []
    lines = path.read_text().split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            rows.append(_parse(line, kind))
        except (ValueError, TypeError) as e:
            if number == len(lines):  # no newline after it: an interrupted write
                warnings.warn(f"{path}: last line is cut off and ignored", stacklevel=2)
                continue
            name = kind.__name__.lower()
            raise UserError(f"{path}: line {number} is not a {name} ({e}); delete that line") from e
    return rows


def _parse(line: str, kind: type[Row]) -> Row:
    row = kind(**json.loads(line))
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = getattr(row, field.name)
        kinds = (int, float) if field.type is float else get_origin(field.type) or field.type
        if not isinstance(value, kinds):  # type: ignore[arg-type]
            raise ValueError(f"{field.name} is {value!r}")
    return row


def _repair_tail(path: Path, kind: type[Row]) -> None:
    """Cut off a half-written last line, so that the next row starts on its own line."""
    if not path.exists():
        return
    data = path.read_bytes()
    tail = data[data.rfind(b"\n") + 1 :]
    if not tail:
        return
    try:
        _parse(tail.decode(), kind)
    except (ValueError, TypeError):
        warnings.warn(f"{path}: last line is cut off; it is made again", stacklevel=3)
        os.truncate(path, len(data) - len(tail))
    else:
        with open(path, "ab") as f:
            f.write(b"\n")
