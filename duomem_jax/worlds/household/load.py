"""Find games on disk and read them when they are asked for."""

import itertools
import logging
import lzma
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, overload

from duomem_jax.base.errors import UserError
from duomem_jax.records.there import instead
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.read import read_game_file, read_row

Reader = Callable[[], Game]

GAME_FILE = "game.tw-pddl"
_SPLITS = ("train", "valid_train", "valid_seen", "valid_unseen")
_THREADS = 8  # reading waits for the disk, not for the processor
_log = logging.getLogger(__name__)


class GameSet(Sequence[Game]):
    """Games by position; each is read when indexed, and ahead of use when iterated.

    Attributes:
        skipped: one sentence for each broken game that was omitted.
    """

    def __init__(self, readers: Sequence[Reader], skipped: tuple[str, ...] = ()):
        self._readers = readers
        self.skipped = skipped

    def __len__(self) -> int:
        return len(self._readers)

    @overload
    def __getitem__(self, index: int) -> Game: ...
    @overload
    def __getitem__(self, index: slice) -> "GameSet": ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return GameSet(self._readers[index], self.skipped)
        return self._readers[index]()

    def __iter__(self) -> Iterator[Game]:
        with ThreadPoolExecutor(_THREADS) as pool:
            readers = iter(self._readers)
            # Bounded: a slow player must not have all games in memory.
            ahead = deque(pool.submit(reader) for reader in itertools.islice(readers, 2 * _THREADS))
            while ahead:
                game = ahead.popleft().result()
                ahead.extend(pool.submit(reader) for reader in itertools.islice(readers, 1))
                yield game


def load_games(
    path: str | Path,
    *,
    split: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    limit: int | None = None,
) -> GameSet:
    """Find the games under `path`, in a stable order.

    Args:
        path: a folder of ALFWorld's layout (`json_2.1.1`, one of its splits, or a generated one),
            a `game.tw-pddl`, a `.jsonl` or `.jsonl.xz` file, or a folder of `<split>.jsonl.xz`.
        split: the sub-folder or file to take; all of them if None.
        on_error: "raise" stops at a broken game when it is read; "skip" reads all games now, in
            parallel, names the broken ones in the log and leaves them out.
        limit: take the first so many.

    As in ALFWorld's own loader, folders with `movable` or `Sliced` in their name and games marked
    unsolvable do not count.

    Raises:
        UserError: nothing at `path`, no such split, no game, or a broken one ("raise").
    """
    path = Path(path)
    readers = _find(path, split, limit)
    if not readers:
        raise UserError(
            f"{path}: no game found; "
            + instead(path, f"a folder with {GAME_FILE} files or a .jsonl[.xz] file of games")
            + " (`alfworld-download` or `duomem generate` make one)"
        )
    if on_error == "raise":
        return GameSet(readers)
    with ThreadPoolExecutor(_THREADS) as pool:
        errors = list(pool.map(_error, readers))
    for error in filter(None, errors):
        _log.warning("skipped: %s", error)
    good = [reader for reader, error in zip(readers, errors, strict=True) if error is None]
    return GameSet(good, tuple(filter(None, errors)))


def _error(reader: Reader) -> str | None:
    try:
        reader()
    except UserError as e:
        return str(e)
    return None


def _find(path: Path, split: str | None, limit: int | None) -> list[Reader]:
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give the place where the games are")
    if path.is_file():
        if split is not None:
            raise UserError(f"{path}: a single file has no split {split!r}; omit split")
        if path.name == GAME_FILE:
            # <base>/<task folder>/<trial>/game.tw-pddl: the id is that which the whole tree gives.
            return [_file_reader(path, path.parents[2])]
        return list(itertools.islice(_rows(path), limit))
    packed = _packed(path, split)
    if packed:
        rows = itertools.chain.from_iterable(map(_rows, packed))
        return list(itertools.islice(rows, limit))
    root = path if split is None else path / split
    if not root.is_dir():
        found = sorted(p.name.partition(".")[0] for p in path.iterdir())
        raise UserError(f"{path}: no split {split!r}; it holds {', '.join(found) or 'nothing'}")
    return _tree(root, path, limit)


def _packed(folder: Path, split: str | None) -> list[Path]:
    """The JSON Lines files of games in `folder`."""
    if split is not None:
        names = (folder / f"{split}.jsonl.xz", folder / f"{split}.jsonl")
        # Of two forms of one split the compressed one: both would give each game twice.
        return [p for p in names if p.exists()][:1]
    # Other JSON Lines may lie beside them: only rows with a problem are games.
    files = sorted(p for p in folder.iterdir() if p.name.endswith((".jsonl", ".jsonl.xz")))
    return [p for p in files if b'"pddl_problem"' in next(_lines(p), b"")]


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as f:
            yield from f
    except (lzma.LZMAError, EOFError, OSError) as e:
        raise UserError(f"{path}: cannot be read to its end ({e}); fetch it again") from e


def _rows(path: Path) -> Iterator[Reader]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            # The line is kept, its game made when asked for.
            yield partial(read_row, line, f"{path}, line {number}")


def _tree(root: Path, base: Path, limit: int | None) -> list[Reader]:
    files = [
        file
        for file in sorted(root.rglob(GAME_FILE))
        if not any(word in str(file.relative_to(base)) for word in ("movable", "Sliced"))
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        solvable = pool.map(_solvable, files)
        kept = (file for file, ok in zip(files, solvable, strict=True) if ok)
        return [_file_reader(file, base) for file in itertools.islice(kept, limit)]


def _solvable(file: Path) -> bool:
    """Whether the mark near the end of the file does not say otherwise."""
    try:
        with file.open("rb") as f:
            size = f.seek(0, 2)
            # The mark follows the long domain, grammar and problem: the end of the file is enough.
            f.seek(max(0, size - 8192))
            return b'"solvable": false' not in f.read()
    except OSError:
        return True  # why it cannot be read, its reader says


def _file_reader(file: Path, base: Path) -> Reader:
    id = file.parent.relative_to(base).as_posix()
    # The same id whether one opens the benchmark or one of its splits.
    if base.name in _SPLITS:
        id = f"{base.name}/{id}"
    return partial(read_game_file, file, id)
