"""One JSON line per played game; a run can stop anywhere and go on where it stopped."""

import dataclasses
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from duomem_jax.errors import UserError
from duomem_jax.io import atomic_write_text

ENDINGS = ("won", "steps", "context")


@dataclasses.dataclass(frozen=True)
class Result:
    """How one game went.

    Attributes:
        arm: who played, as named in the report.
        game_id: the game.
        task_type: one of the six ALFWorld task types.
        seed: training or sampling seed of this arm.
        success: won within the step limit.
        steps: commands sent to the game.
        prompt_tokens: tokens appended to the conversation by us (instructions, guidelines,
            observations), each counted once since the cache keeps the conversation.
        new_tokens: tokens the player wrote.
        seconds: this game's share of the wall time (see `agents.rollout`).
        ended: "won", "steps" (limit reached) or "context" (the conversation no longer fitted).
    """

    arm: str
    game_id: str
    task_type: str
    seed: int
    success: bool
    steps: int
    prompt_tokens: int
    new_tokens: int
    seconds: float
    ended: str


class ResultLog:
    """An append-only file of results that belongs to one configuration.

    `<name>.jsonl` holds the rows, `<name>.config.json` beside it the configuration that made them.

    Attributes:
        path: the JSON Lines file.
        done: (arm, game id, seed) of every finished row.

    Raises:
        UserError: the file was made by another configuration, or a line is not a result.
    """

    def __init__(self, path: str | os.PathLike, config: dict):
        self.path = Path(path)
        self._check_config(json.loads(json.dumps(config)))
        _repair_tail(self.path)
        rows = read_results(self.path) if self.path.exists() else []
        self.done = {(r.arm, r.game_id, r.seed) for r in rows}

    def append(self, row: Result) -> None:
        """Add one finished game; the line is on disk when this returns."""
        line = json.dumps(dataclasses.asdict(row)) + "\n"
        # One write on an O_APPEND descriptor: lines of two writers never interleave.
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)
        self.done.add((row.arm, row.game_id, row.seed))

    def _check_config(self, config: dict) -> None:
        side = self.path.with_suffix(".config.json")
        if not (self.path.exists() and self.path.stat().st_size):  # nothing to mix up yet
            atomic_write_text(side, json.dumps(config, indent=2, sort_keys=True) + "\n")
            return
        if not side.exists():
            raise UserError(
                f"{self.path}: its {side.name} is missing, so the rows cannot be continued;"
                " choose another output folder"
            )
        old = json.loads(side.read_text())
        if old != config:
            keys = sorted(k for k in old.keys() | config.keys() if old.get(k) != config.get(k))
            raise UserError(
                f"{self.path}: made by another configuration (different: {', '.join(keys)});"
                " choose another output folder or delete this file and its .config.json"
            )


def read_results(path: str | os.PathLike) -> list[Result]:
    """Rows of one JSON Lines file; a last line cut off by a crash is ignored with a warning.

    Raises:
        UserError: the file is missing or a line is not a result.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such results file; run `duomem evaluate` first")
    rows = []
    lines = path.read_text().split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            rows.append(_parse(line))
        except (ValueError, TypeError) as e:
            if number == len(lines):  # no newline after it: an interrupted write
                warnings.warn(f"{path}: last line is cut off and ignored", stacklevel=2)
                continue
            raise UserError(f"{path}: line {number} is not a result ({e}); delete that line") from e
    return rows


def collect_results(paths: Iterable[str | os.PathLike]) -> list[Result]:
    """Rows of several files or folders of `*.jsonl`, each (arm, game, seed) exactly once.

    Raises:
        UserError: nothing was found, or a game occurs twice for the same arm and seed.
    """
    seen: dict[tuple[str, str, int], Path] = {}
    rows = []
    for path in _expand(paths):
        for row in read_results(path):
            key = (row.arm, row.game_id, row.seed)
            if key in seen:
                raise UserError(
                    f"{path}: arm {row.arm}, game {row.game_id}, seed {row.seed} is already in"
                    f" {seen[key]}; compare only one of the two files"
                )
            seen[key] = path
            rows.append(row)
    if not rows:
        raise UserError("no results found; give files or folders written by `duomem evaluate`")
    return rows


def _expand(paths: Iterable[str | os.PathLike]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(path.glob("*.jsonl"))
        else:
            yield path


def _parse(line: str) -> Result:
    row = Result(**json.loads(line))
    for field in dataclasses.fields(Result):
        value = getattr(row, field.name)
        kinds = (int, float) if field.type is float else field.type
        if not isinstance(value, kinds):  # type: ignore[arg-type]
            raise ValueError(f"{field.name} is {value!r}")
    if row.ended not in ENDINGS:
        raise ValueError(f"ended is {row.ended!r}")
    return row


def _repair_tail(path: Path) -> None:
    """Cut off a half-written last line, so that the next row starts on its own line."""
    if not path.exists():
        return
    data = path.read_bytes()
    tail = data[data.rfind(b"\n") + 1 :]
    if not tail:
        return
    try:
        _parse(tail.decode())
    except (ValueError, TypeError):
        warnings.warn(f"{path}: last line is cut off; that game is played again", stacklevel=3)
        os.truncate(path, len(data) - len(tail))
    else:
        with open(path, "ab") as f:
            f.write(b"\n")
