"""One row for each item that a subject was scored on: a game, or a question."""

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from duomem_jax.base.config import differences
from duomem_jax.base.errors import UserError
from duomem_jax.base.log import read_log
from duomem_jax.base.rowlog import RowLog, read_rows, read_with_config
from duomem_jax.records.there import instead

PROTOCOL = "protocol"  # in the config of results: what every row of a table has in common


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
    """

    subject: str
    item: str
    group: str
    kind: str
    seed: int
    scores: dict[str, float]
    cost: Usage
    ended: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """(subject, item, seed): there is one row of it."""
        return self.subject, self.item, self.seed


class Row(Protocol):
    """A dataclass of what a subject did on an item."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def subject(self) -> str:
        """Who."""
        ...

    @property
    def item(self) -> str:
        """On what."""
        ...

    @property
    def seed(self) -> int:
        """Training or sampling seed of the subject."""
        ...

    @property
    def key(self) -> tuple[str, str, int]:
        """(subject, item, seed): there is one row of it."""
        ...


RowT = TypeVar("RowT", bound=Row)


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
    _check_there(path)
    return read_rows(path, Result, config)


def _check_there(path: str | os.PathLike) -> None:
    if not Path(path).is_file():
        raise UserError(f"{path}: no such results file; run `duomem evaluate` first")


def refuse_other_protocol(folder: str | os.PathLike, config: dict[str, Any]) -> None:
    """Refuse a folder whose results are of other items, or were scored in another way.

    Args:
        folder: of results; need not be there.
        config: of the results that are to come.

    Raises:
        UserError: names the file and what differs.
    """
    mine = json.loads(json.dumps(config[PROTOCOL]))
    for path in sorted(Path(folder).glob("*.sqlite")):
        theirs, records = read_log(path)
        if records and (names := _differing(mine, theirs.get(PROTOCOL))):
            raise UserError(
                f"{path}: the folder holds results of another protocol (different: {names}), and "
                "one table cannot have both; choose another output folder"
            )


def _differing(mine: Any, theirs: Any) -> str:
    """The parts of two protocols that differ, as one text."""
    return ", ".join(name or PROTOCOL for name, _, _ in differences(mine, theirs))


def collect_results(paths: Sequence[str | os.PathLike]) -> list[Result]:
    """Rows of several files or folders of `*.sqlite`, each (subject, item, seed) exactly once.

    Raises:
        UserError: nothing was found, files are of different protocols, or an item occurs twice for
            the same subject and seed with different configurations.
    """
    files = list(_expand(paths))
    for path in files:
        _check_there(path)
    if rows := collect_rows(files, Result):
        return rows
    raise UserError(_all_instead(paths))


def collect_rows(files: Iterable[Path], kind: type[RowT]) -> list[RowT]:
    """Rows of several files, each (subject, item, seed) exactly once.

    Two processes that shared out the same items in different ways may both have done one. Both
    rows are then of one configuration, and the first counts.

    Args:
        files: that a `RowLog` of this kind wrote.
        kind: of the rows.

    Raises:
        UserError: files are damaged or of different protocols, or an item occurs twice for the same
            subject and seed with different configurations.
    """
    seen: dict[tuple[str, str, int], tuple[Path, dict[str, Any]]] = {}
    protocol: tuple[Path, Any] | None = None
    rows = []
    for path in files:
        config, found = read_with_config(path, kind)
        if not found:
            continue
        other, facts = protocol = protocol or (path, config.get(PROTOCOL))
        if names := _differing(facts, config.get(PROTOCOL)):
            raise UserError(
                f"{path}: its results are of another protocol than those of {other} (different: "
                f"{names}), and one table cannot have both; keep them in a folder each"
            )
        for row in found:
            # Twice the same item would count as two games, and narrow every interval.
            first, made_by = seen.setdefault(row.key, (path, config))
            if first == path:
                rows.append(row)
            elif made_by != config:
                raise UserError(
                    f"{path}: {row.subject}, item {row.item}, seed {row.seed} is already in"
                    f" {first}; compare only one of the two files"
                )
    return rows


def _all_instead(paths: Sequence[str | os.PathLike]) -> str:
    wanted = "a file or folder that `duomem evaluate` wrote"
    found = [f"{path}: no results; {instead(path, wanted)}" for path in paths]
    return "; ".join(found) or f"no results; give {wanted}"


def _expand(paths: Iterable[str | os.PathLike]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            # Sorted, since folders list their files in any order.
            yield from sorted(path.glob("*.sqlite"))
        else:
            yield path
