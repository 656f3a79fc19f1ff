"""The cells of an audit: one model on one set of windows, with the scores it has so far."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax

from duomem_jax.base.progress import Progress
from duomem_jax.base.rowlog import RowLog
from duomem_jax.evals.audit.memorization import Score, score_windows
from duomem_jax.evals.audit.subjects import Subject
from duomem_jax.evals.audit.windows import Window
from duomem_jax.lora.open import Opened, open_model
from duomem_jax.lora.peft import adapter_fingerprint
from duomem_jax.models.hf import fingerprint

ROWS = "windows"  # the folder of the rows, apart from results of games
Key = tuple[str, int, int]  # game, player's seed, start: names a window of an audit


class Cell:
    """One model on one set of windows; its scores are kept in a file as they come.

    A context manager: the file is open within its block, and the scores stay.

    Attributes:
        subject: the model.
        set: name of the set.
        windows: all of the set.
    """

    def __init__(
        self,
        out: str | os.PathLike,
        subject: Subject,
        name: str,
        windows: Sequence[Window],
        config: dict[str, Any],
    ):
        """Open the file of earlier scores, or begin one.

        Args:
            out: folder of the audit.
            subject: the model.
            name: of the set.
            windows: of the set.
            config: what the scores depend on besides model, adapter and windows.

        Raises:
            UserError: the file belongs to another audit.
        """
        self.subject = subject
        self.set = name
        self.windows = windows
        self._log = RowLog(
            Path(out) / ROWS / f"{subject.name}.{subject.seed}.{name}.sqlite",
            {
                # By content: scores of a folder that was trained again are refused.
                "model": fingerprint(subject.model),
                "adapter": adapter_fingerprint(subject.adapter) if subject.adapter else "",
                **config,
                "windows": _digest(windows),
            },
            Score,
        )
        self._found = {_key(score): score for score in self._log.rows}

    def __enter__(self) -> "Cell":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._log.close()

    @property
    def complete(self) -> bool:
        """Whether every window has its score."""
        return len(self._found) == len(self.windows)

    @property
    def scores(self) -> list[Score]:
        """The score of each window, in their order; the cell is complete."""
        return [self._found[_key(window)] for window in self.windows]

    def fill(self, opened: Opened, batch: int) -> None:
        """Score the windows that have none yet.

        Args:
            opened: the subject's model and adapter.
            batch: windows at once.
        """
        lora = jax.device_put(opened.lora)  # once, not with every batch
        label = f"{self.subject.name}, seed {self.subject.seed}, {self.set}"
        left = len(self.windows) - len(self._found)
        with Progress(left, label, good="extractable", unit="window") as progress:
            # Batches are always cut alike, so that a resumed run computes the very same numbers.
            for at in range(0, len(self.windows), batch):
                part = self.windows[at : at + batch]
                if all(_key(window) in self._found for window in part):
                    continue
                scores = score_windows(opened.model, opened.base, lora, part, batch)
                for score in self._keep(scores):
                    progress.add(score.extractable)

    def _keep(self, scores: Iterable[Score]) -> list[Score]:
        """Write the scores that were missing, and return them."""
        # A batch may hold windows that were scored before the run was stopped.
        new = [score for score in scores if _key(score) not in self._found]
        self._log.append(*new)
        self._found.update((_key(score), score) for score in new)
        return new


def fill_cells(cells: Iterable[Cell], batch: int, dtype: str) -> None:
    """Complete all cells; a base is loaded once, and only if one of its cells is incomplete.

    Args:
        cells: of all models.
        batch: windows at once.
        dtype: of parameters and activations.
    """
    left = [cell for cell in cells if not cell.complete]
    # One base at a time, with all its adapters: bases are large, adapters small.
    for folder in dict.fromkeys(cell.subject.model for cell in left):
        _fill_of_base([cell for cell in left if cell.subject.model == folder], batch, dtype)


def _fill_of_base(cells: Sequence[Cell], batch: int, dtype: str) -> None:
    # A function of its own, so that a base is let go of before the next one is loaded.
    base = open_model(cells[0].subject.model, dtype=dtype)
    for cell in cells:
        cell.fill(base.with_adapter(cell.subject.adapter), batch)


def _key(x: Window | Score) -> Key:
    return x.game_id, x.seed, x.start


def _digest(windows: Sequence[Window]) -> str:
    # Windows are what the scores are about: other episodes or another cut must not share a file.
    digest = hashlib.sha256()
    for window in windows:
        digest.update(repr(_key(window)).encode() + window.tokens.tobytes())
    return digest.hexdigest()
