"""Reading configurations: frozen dataclasses from Python files, with their types checked."""

import dataclasses
import importlib.util
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

from duomem_jax.base.errors import UserError

T = TypeVar("T")


def to_dict(config: Any) -> dict[str, Any]:
    """The resolved config as JSON-able values."""
    return dataclasses.asdict(config)


def from_file(path: Path, function: str, kind: type[T]) -> T:
    """What `function()` of a Python file in configs/ gives.

    Raises:
        UserError: no such file or function, or it gives something else than a `kind`.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(f"{path}: no such config; give a file like configs/<name>.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = getattr(module, function)()
    except UserError as e:
        raise UserError(f"{path}: {e}") from None
    except Exception as e:  # whatever the file does wrong, one sentence is what helps
        raise UserError(f"{path}: {type(e).__name__}: {e}; correct the file") from None
    if not isinstance(config, kind):
        given = type(config).__name__
        raise UserError(f"{path}: {function}() gives {given}, not a {kind.__name__}")
    check_types(config, str(path))
    return config


def check_types(config: Any, where: str, prefix: str = "") -> None:
    """Raise UserError naming the first field whose value has another type than declared."""
    for name, hint in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        if not _fits(value, hint):
            shown = str(getattr(hint, "__name__", hint) if isinstance(hint, type) else hint)
            raise UserError(
                f"{where}: field {prefix}{name} is {value!r}; give {shown.replace('typing.', '')}"
            )
        if dataclasses.is_dataclass(value):
            check_types(value, where, f"{prefix}{name}.")


def _fits(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in args
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, arg) for arg in args)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(v, args[0]) for v in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is not int or not isinstance(value, bool))
