"""JSON objects that somebody else wrote, with their place, so that what is wrong can be named."""

from collections.abc import ItemsView
from pathlib import Path
from typing import Any, NoReturn

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.parse import parse_json


class Node:
    """An object of a document. Whatever is not as it is asked for is a UserError.

    Args:
        value: the object.
        place: the file, and the way from its root to here.
        remedy: how sentences about it end.
    """

    def __init__(self, value: Any, place: str, remedy: str) -> None:
        self.place, self._remedy = place, remedy
        if not isinstance(value, dict):
            self.refuse(f"is {_kind(value)}, not an object with fields")
        self._value: dict[str, Any] = value

    def __contains__(self, key: str) -> bool:
        return self._value.get(key) is not None

    def items(self) -> ItemsView[str, Any]:
        """The fields as they are."""
        return self._value.items()

    def value(self, key: str) -> Any:
        """A field of any kind, which has to be there."""
        if key not in self._value:
            self.refuse(f"has no field {key}")
        return self._value[key]

    def text(self, key: str) -> str:
        """A field that is text."""
        value = self.value(key)
        if not isinstance(value, str):
            self.refuse(f"has {_kind(value)} as {key}, not text")
        return value

    def node(self, key: str) -> "Node":
        """A field that is an object."""
        return Node(self.value(key), f"{self.place}.{key}", self._remedy)

    def items_of(self, key: str) -> list[Any]:
        """A field that is a list."""
        value = self.value(key)
        if not isinstance(value, list):
            self.refuse(f"has {_kind(value)} as {key}, not a list")
        return value

    def nodes(self, key: str) -> "list[Node]":
        """A field that is a list of objects."""
        return [
            Node(item, f"{self.place}.{key}[{i}]", self._remedy)
            for i, item in enumerate(self.items_of(key))
        ]

    def refuse(self, what: str) -> NoReturn:
        """Say what is wrong with it.

        Raises:
            UserError: always.
        """
        raise UserError(f"{self.place} {what}; {self._remedy}")


def read_list(path: Path, remedy: str) -> tuple[bytes, list[Node]]:
    """The bytes of a file, and the objects of the JSON list in it.

    Raises:
        UserError: no such file, or it holds something else.
    """
    try:
        data = path.read_bytes()
        found = parse_json(data)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {remedy}") from None
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); {remedy}") from None
    except ValueError as e:
        raise UserError(f"{path}: not valid JSON ({first_line(e)}); {remedy}") from None
    if not isinstance(found, list) or not found:
        raise UserError(f"{path}: holds {_kind(found)}, not a list of objects; {remedy}")
    return data, [Node(item, f"{path}: [{i}]", remedy) for i, item in enumerate(found)]


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list) and not value:
        return "an empty list"
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "a number")
