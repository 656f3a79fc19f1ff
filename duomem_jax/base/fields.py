"""Do the values of a dataclass have the types it declares? Python itself never looks."""

import dataclasses
import functools
import types
import typing
from typing import Any, TypeVar

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

R = TypeVar("R")


def check_fields(record: Any) -> None:
    """Compare every field of a dataclass, and of dataclasses inside it, with its type.

    A whole number may stand for a float, a bool for no number.

    Raises:
        TypeError: names the first field that does not fit (`lora.rank`), its value and its type.
    """
    _check(record, "")


def record_of(kind: type[R], facts: Any) -> R:
    """A dataclass of what JSON gave, whose fields have the types that it declares.

    Dataclasses inside it and in its tuples are made likewise, and lists become tuples.

    Raises:
        TypeError: other fields, a value of another type, or no mapping at all.
    """
    record = _made(kind, facts)
    check_fields(record)
    return record


def _made(kind: Any, facts: Any) -> Any:
    record = kind(**facts)
    for name, hint in _hints(kind).items():
        value = getattr(record, name)
        if dataclasses.is_dataclass(hint) and isinstance(value, dict):
            value = _made(hint, value)
        elif typing.get_origin(hint) is tuple and isinstance(value, list):
            item = typing.get_args(hint)[0]
            if dataclasses.is_dataclass(item):
                value = [_item(item, facts, f"{name}[{i}]") for i, facts in enumerate(value)]
            value = tuple(value)
        # The only way for a frozen dataclass to set a field.
        object.__setattr__(record, name, value)
    return record


def _item(kind: Any, facts: Any, name: str) -> Any:
    """A dataclass in a tuple; what is wrong with it says which one it was."""
    try:
        return _made(kind, facts)
    except TypeError as e:
        raise TypeError(f"{name}: {e}") from None


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The parts of a union such as `int | None`, or the type alone."""
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if is_union else (hint,)


def check_value(value: Any, hint: Any) -> None:
    """Compare a value, such as what JSON gave, with a type, such as a `TypedDict`.

    Raises:
        TypeError: says what in it does not fit.
    """
    try:
        check_type(value, hint, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError as e:
        raise TypeError(str(e)) from None


def _check(record: Any, prefix: str) -> None:
    kind: type = type(record)
    for name, hint in _hints(kind).items():
        value = getattr(record, name)
        if not _fits(value, hint):
            shown = hint.__name__ if isinstance(hint, type) else str(hint)
            raise TypeError(
                f"field {prefix}{name} is {value!r}; give {shown.replace('typing.', '')}"
            )
        if dataclasses.is_dataclass(value):
            _check(value, f"{prefix}{name}.")
        elif isinstance(value, tuple):
            for i, item in enumerate(value):
                if dataclasses.is_dataclass(item):
                    _check(item, f"{prefix}{name}[{i}].")


@functools.cache  # rows of one kind come in tens of thousands
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    # Python's bool is an int, and typeguard follows it; `steps=True` is a mistake all the same.
    values = value if isinstance(value, tuple) else (value,)
    if any(isinstance(v, bool) for v in values) and bool not in (hint, *typing.get_args(hint)):
        return False
    try:
        # All items: by default typeguard looks at the first one only.
        check_type(value, hint, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError:
        return False
    return True
