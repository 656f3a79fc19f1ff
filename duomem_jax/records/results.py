"""One row per played game."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.rowlog import RowLog, read_rows

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

    Raises:
        ValueError: `ended` is none of these.
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

    def __post_init__(self) -> None:
        if self.ended not in ENDINGS:
            raise ValueError(f"ended is {self.ended!r}")


class ResultLog(RowLog[Result]):
    """A `RowLog` of the results of one configuration.

    Attributes:
        done: (arm, game id, seed) of every finished row.
    """

    def __init__(self, path: str | os.PathLike, config: dict[str, Any]):
        super().__init__(path, config, Result)
        self.done = {(r.arm, r.game_id, r.seed) for r in self.rows}

    def append(self, *rows: Result) -> None:
        """Add finished games; they are safe from a kill when this returns."""
        super().append(*rows)
        self.done |= {(r.arm, r.game_id, r.seed) for r in rows}


def read_results(path: str | os.PathLike, config: dict[str, Any] | None = None) -> list[Result]:
    """Rows of one file, whose writer may be at work.

    Args:
        path: the SQLite file.
        config: what made the rows; None: it does not matter.

    Raises:
        UserError: the file is missing or damaged, a row is not a result, or the rows were made by
            another configuration.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such results file; run `duomem evaluate` first")
    return read_rows(path, Result, config)


def collect_results(paths: Iterable[str | os.PathLike]) -> list[Result]:
    """Rows of several files or folders of `*.sqlite`, each (arm, game, seed) exactly once.

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
            yield from sorted(path.glob("*.sqlite"))
        else:
            yield path
