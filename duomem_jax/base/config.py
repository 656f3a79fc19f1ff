"""Reading configurations: frozen dataclasses from Python files, with their types checked."""

import dataclasses
import importlib.util
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import check_fields

T = TypeVar("T")
# The functions of configs, and whose they are.
COMMANDS = {"get_config": "train.py", "get_experiment": "`duomem compare`"}


def to_dict(config: Any) -> dict[str, Any]:
    """The resolved config as JSON-able values."""
    return dataclasses.asdict(config)


def differences(
    mine: Any, theirs: Any, *, open_top: bool = False, path: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """(dotted path, mine, theirs) of each leaf of two JSON values that they do not share.

    Args:
        mine: a value.
        theirs: another one.
        open_top: `theirs` may hold more at its top; further in, what is missing in `mine` is a
            difference.
        path: of both, "" for whole values.
    """
    if not (isinstance(mine, dict) and isinstance(theirs, dict)):
        if mine != theirs:
            yield path, mine, theirs
        return
    for key in sorted(mine.keys() | theirs.keys()):
        if key in mine or not open_top:
            inner = f"{path}.{key}" if path else key
            yield from differences(mine.get(key), theirs.get(key), path=inner)


class _NoBytecode(SourceFileLoader):
    """Leaves no `__pycache__` in a folder of the user's."""

    def set_data(self, path: Any, data: Any, **mode: Any) -> None:
        """Where the loader would write it."""


def _refuse_others(module: ModuleType, function: str) -> None:
    """Refuse a config of another command."""
    if hasattr(module, function):
        return
    for other, command in COMMANDS.items():
        if hasattr(module, other):
            raise UserError(
                f"this is a config for {command}, as it has {other}(); give one for "
                f"{COMMANDS[function]}"
            )
    raise UserError(f"has no {function}(), so it is no config for {COMMANDS[function]}")


def from_file(path: Path, function: str, *kinds: type[T]) -> T:
    """Call `function()` of a Python file in configs/ and check what it returns.

    Raises:
        UserError: no such file or function, or it returns none of `kinds`, or fields of it do not
            have their declared types.
    """
    loader = _NoBytecode(path.stem, str(path))
    spec = importlib.util.spec_from_file_location(path.stem, path, loader=loader)
    if spec is None or not path.is_file():
        raise UserError(f"{path}: no such config; give a file like configs/<name>.py")
    if path.suffix != ".py":
        raise UserError(f"{path}: no Python file; give a config such as configs/<name>.py")
    module = importlib.util.module_from_spec(spec)
    try:
        # Not through `import`: a config may lie in any folder, and two of them may have one name.
        loader.exec_module(module)
        _refuse_others(module, function)
        config = getattr(module, function)()
    except UserError as e:
        raise UserError(f"{path}: {e}") from None
    except (Exception, SystemExit) as e:  # the user's code: it may do anything wrong
        raise UserError(f"{path}: {type(e).__name__}: {e}; correct the file") from None
    if not isinstance(config, kinds):
        given, wanted = type(config).__name__, " or ".join(kind.__name__ for kind in kinds)
        raise UserError(f"{path}: {function}() gives {given}, not a {wanted}")
    try:
        # Dataclasses take any value; one of a wrong type would fail far from here.
        check_fields(config)
    except TypeError as e:
        raise UserError(f"{path}: {e}") from None
    return config
