"""One row for each item that a subject was scored on: a game, or a question."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.rowlog import RowLog, read_rows


@dataclasses.dataclass(frozen=True)
class Usage:
    """What an item cost the model that was scored on it.

    Attributes:
        prompt_tokens: tokens it was given, each counted once where a cache keeps the conversation.
        new_tokens: tokens it wrote.
        seconds: the item's share of the wall time.
    """

    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Result:
    """How a subject did on one item.

    Attributes:
        subject: who was scored, as named in the report.
        item: the game or the question.
        group: what is drawn together in statistics: the game itself, the dialogue of a question.
        kind: what tables group items by.
        seed: training or sampling seed of the subject.
        scores: by name, such as success, score and steps of a game.
        cost: tokens and time.
        ended: why it ended, where that can differ ("won", "lost", "steps", "context" of a game).

    Raises:
        TypeError: the cost has other fields.
    """

    subject: str
    item: str
    group: str
    kind: str
    seed: int
    scores: dict[str, float]
    cost: Usage
    ended: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.cost, Usage):  # as it comes from JSON
            object.__setattr__(self, "cost", Usage(**self.cost))

    @property
    def key(self) -> tuple[str, str, int]:
        """(subject, item, seed): there is one row of it."""
        return self.subject, self.item, self.seed


class ResultLog(RowLog[Result]):
    """A `RowLog` of the results of one configuration.

    Attributes:
        done: the key of every finished row.
    """

    def __init__(self, path: str | os.PathLike, config: dict[str, Any]):
        super().__init__(path, config, Result)
        # What an evaluation that was killed need not play again.
        self.done = {row.key for row in self.rows}

    def append(self, *rows: Result) -> None:
        """Add finished items; they are safe from a kill when this returns."""
        super().append(*rows)
        self.done |= {row.key for row in rows}


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
    """Rows of several files or folders of `*.sqlite`, each (subject, item, seed) exactly once.

    Raises:
        UserError: nothing was found, or an item occurs twice for the same subject and seed.
    """
    seen: dict[tuple[str, str, int], Path] = {}
    rows = []
    for path in _expand(paths):
        for row in read_results(path):
            # Twice the same item would count as two games, and narrow every interval.
            if row.key in seen:
                raise UserError(
                    f"{path}: {row.subject}, item {row.item}, seed {row.seed} is already in"
                    f" {seen[row.key]}; compare only one of the two files"
                )
            seen[row.key] = path
            rows.append(row)
    if not rows:
        raise UserError("no results found; give files or folders written by `duomem evaluate`")
    return rows


def _expand(paths: Iterable[str | os.PathLike]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            # Sorted, since folders list their files in any order.
            yield from sorted(path.glob("*.sqlite"))
        else:
            yield path
