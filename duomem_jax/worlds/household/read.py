"""Read one game: from ALFWorld's `game.tw-pddl` or from a row of the compact JSON Lines form."""

import json
import re
from pathlib import Path
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.parse import parse_json
from duomem_jax.worlds.household.game import TASK_TYPES, Game, task_type_of

_TASK = re.compile(r'"Your task is to: ((?:[^"\\]|\\.)*)"')
_AGAIN = "download or generate it again"


def read_game_file(path: Path, id: str) -> Game:
    """Read `game.tw-pddl`, and the task type from the `traj_data.json` beside it if there is one.

    Raises:
        UserError: unreadable, not JSON, a field missing or of the wrong kind, or words older
            than ALFWorld 0.4.
    """
    data = _json(_bytes(path), str(path))
    grammar = _text(data, "grammar", str(path))
    task = _TASK.search(grammar)
    if task is None:
        raise UserError(f'{path}: field grammar states no "Your task is to: …"; {_AGAIN}')
    # The fast engine has today's words: an older game would be played, but not as the real one.
    if "move {o} to {r}" not in grammar:
        raise UserError(
            f"{path}: field grammar is older than ALFWorld 0.4 (it has no 'move X to Y'); "
            "fetch the games again with `alfworld-download -f`"
        )
    return Game(
        id=id,
        # As escaped in the grammar, see `textworld.game_json`.
        text=json.loads(f'"{task[1]}"'),
        kind=_task_type(path, id),
        pddl_problem=_problem(data, str(path)),
        walkthrough=_walkthrough(data, str(path)),
        file=str(path),
    )


def read_row(line: bytes, source: str) -> Game:
    """Read a row `{id, task, walkthrough, pddl_problem}`; `source` names its file and line.

    Raises:
        UserError: not JSON, or a field missing or of the wrong kind.
    """
    data = _json(line, source)
    id = _text(data, "id", source)
    return Game(
        id=id,
        text=_text(data, "task", source),
        kind=task_type_of(id, source),
        pddl_problem=_problem(data, source),
        walkthrough=_walkthrough(data, source),
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); {_AGAIN}") from e


def _json(raw: bytes, source: str) -> dict[str, Any]:
    try:
        data = parse_json(raw)
    except ValueError as e:
        raise UserError(f"{source}: not complete JSON ({e}); {_AGAIN}") from e
    if not isinstance(data, dict):
        raise UserError(f"{source}: not a JSON object; {_AGAIN}")
    return data


def _text(data: dict[str, Any], field: str, source: str) -> str:
    value = data.get(field)
    if not isinstance(value, str) or not value:
        raise UserError(f"{source}: field {field} is missing or not a text; {_AGAIN}")
    return value


def _problem(data: dict[str, Any], source: str) -> str:
    problem = _text(data, "pddl_problem", source)
    for section in ("(:objects", "(:init", "(:goal"):
        if section not in problem:
            raise UserError(f"{source}: field pddl_problem has no {section} section; {_AGAIN}")
    return problem


def _walkthrough(data: dict[str, Any], source: str) -> tuple[str, ...]:
    # The only field that may be missing: a game can be played without it.
    commands = data.get("walkthrough") or []
    if not isinstance(commands, list) or not all(isinstance(c, str) for c in commands):
        raise UserError(f"{source}: field walkthrough is not a list of commands; {_AGAIN}")
    return tuple(commands)


def _task_type(path: Path, id: str) -> str:
    beside = path.with_name("traj_data.json")
    if not beside.exists():
        return task_type_of(id, str(path))
    # What the game says of itself goes before the name of its folder.
    kind = _text(_json(_bytes(beside), str(beside)), "task_type", str(beside))
    if kind not in TASK_TYPES:
        raise UserError(
            f"{beside}: field task_type is {kind!r}; it must be one of {', '.join(TASK_TYPES)}"
        )
    return kind
