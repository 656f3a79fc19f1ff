"""Score every model of an audit on every set of windows; stopped, it resumes where it was."""

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from duomem_jax.base.errors import UserError
from duomem_jax.base.folder import claim_folder
from duomem_jax.base.io import atomic_write_text
from duomem_jax.base.ranges import Count, Few, Limit, options
from duomem_jax.evals.audit.cells import Cell, fill_cells
from duomem_jax.evals.audit.scores import AuditScores, ModelScores
from duomem_jax.evals.audit.subjects import Subject, check_subject, shared_tokenizer
from duomem_jax.evals.audit.windows import HELD_OUT, TRAIN, Window, cut_windows, sort_out
from duomem_jax.records.episodes import Episode
from duomem_jax.records.played import read_episodes
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.text.tokenizer import tokenizer_fingerprint


@options
class Audit:
    """How windows are cut and scored."""

    prefix: Count = 50  # tokens given
    suffix: Count = 50  # tokens to be reproduced
    system: str = ""  # system message, or @FILE of it, as in training
    limit: Limit = 0  # windows of each set, evenly spread; 0: all
    batch: Few = 32  # windows at once
    dtype: Literal["float32", "bfloat16"] = "float32"


def audit(
    subjects: Sequence[Subject],
    train: str,
    held_out: str,
    out: str | os.PathLike,
    how: Audit = Audit(),
) -> AuditScores:
    """Score all subjects on the windows of both folders of episodes.

    Args:
        subjects: the first one's tokenizer cuts the windows.
        train: episodes that the students learnt from.
        held_out: episodes of games that they did not.
        out: folder; its folder `windows` gets one file for each model, seed and set.
        how: sizes.

    Raises:
        UserError: bad input, tokenizers that differ, or an output folder of another audit.
    """
    tokenizer = shared_tokenizer(subjects)
    # What does not fit is refused before anything is scored.
    for subject in subjects:
        check_subject(subject, how.prefix + how.suffix)
    sets = _windows(train, held_out, tokenizer, how)
    claim_folder(out, "an audit")
    config = {"prefix": how.prefix, "suffix": how.suffix, "dtype": how.dtype}
    with contextlib.ExitStack() as stack:
        cells = [
            stack.enter_context(Cell(out, subject, name, windows, config))
            for name, windows in sets.items()
            for subject in subjects
        ]
        # Only now that all files are open: the folder of another audit was refused untouched.
        _describe(Path(out), subjects, tokenizer, {TRAIN: train, HELD_OUT: held_out}, how)
        fill_cells(cells, how.batch, how.dtype)
    return _by_model(cells)


def _by_model(cells: Iterable[Cell]) -> AuditScores:
    models: dict[str, dict[str, list]] = {}
    for cell in cells:
        sets = models.setdefault(cell.subject.name, {})
        # Seeds of a name are cells of their own, one list each.
        sets.setdefault(cell.set, []).append(cell.scores)
    return AuditScores([ModelScores(model, sets) for model, sets in models.items()])


def _describe(
    out: Path, subjects: Sequence[Subject], tokenizer: Any, folders: dict[str, str], how: Audit
) -> None:
    """Write what was audited, beside the fingerprints in the configuration of each file."""
    about = {
        "subjects": [asdict(s) for s in subjects],
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "episodes": {
            name: {"folder": folder, "content": content_hash(folder)}
            for name, folder in folders.items()
        },
        "how": asdict(how),
        "versions": {name: metadata.version(name) for name in ("duomem-jax", "jax")},
    }
    atomic_write_text(out / "audit.json", json.dumps(about, indent=2) + "\n")


def _windows(train: str, held_out: str, tokenizer: Any, how: Audit) -> dict[str, list[Window]]:
    sides: list[list[Window]] = []
    games: list[set[str]] = []
    for folder in (train, held_out):
        episodes: Sequence[Episode] = read_episodes(folder)
        games.append({e.game_id for e in episodes})
        cut = cut_windows(
            episodes, tokenizer, prefix=how.prefix, suffix=how.suffix, system=how.system
        )
        sides.append(list(cut))
        if not sides[-1]:
            raise UserError(
                f"{folder}: none of its {len(episodes)} episodes is won and has the "
                f"{how.prefix + how.suffix} tokens of a window; lower --prefix or --suffix, or "
                "play more games"
            )
    shared = games[0] & games[1]
    if shared:
        raise UserError(
            f"{held_out}: game {min(shared)} is in {train} too, so it is not held out; play "
            "other games"
        )
    # Here and not by side: a suffix of both sides is template on both.
    sets = sort_out(sides[0], sides[1], how.limit)
    for folder, name in ((train, TRAIN), (held_out, HELD_OUT)):
        if not sets[name]:
            raise UserError(
                f"{folder}: every suffix occurs in several games, so none is the game's own; "
                "raise --suffix"
            )
    return sets
