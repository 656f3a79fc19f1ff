"""Lines of a file of others."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.fields import record_of
from duomem_jax.base.parse import parse_json

Line = TypeVar("Line")


def read_lines(path: Path, kind: type[Line]) -> Iterator[tuple[str, Line]]:
    """Each line as a record, with its place (`FILE, line 3`) for messages; empty lines are none.

    Args:
        path: JSON Lines in UTF-8.
        kind: dataclass of a line.

    Raises:
        UserError: the file cannot be read, or a line is no such record.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    where = f"{path}, line {number}"
                    yield where, _record(kind, line, where)
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); give JSON Lines") from None


def _record(kind: type[Line], line: bytes, where: str) -> Line:
    try:
        return record_of(kind, parse_json(line))
    except ValueError as e:
        raise UserError(f"{where}: no JSON ({first_line(e)}); give one object a line") from None
    except TypeError as e:
        # Python's own words for a field too many or too few name the class, which nobody knows.
        why = str(e).replace(f"{kind.__name__}.__init__()", "the object")
        raise UserError(f"{where}: {why}; correct the line") from None
