"""Score every model of an audit on every set of windows; stopped, it goes on where it was."""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import jax

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_write_text
from duomem_jax.base.progress import Progress
from duomem_jax.base.rowlog import RowLog
from duomem_jax.evals.audit.memorization import Score, score_windows
from duomem_jax.evals.audit.windows import HELD_OUT, TRAIN, Window, cut_windows, sort_out
from duomem_jax.lora.peft import adapter_fingerprint, load_adapter
from duomem_jax.models.hf import fingerprint, load_config
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.records.episodes import Episode
from duomem_jax.records.played import read_episodes
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.text.tokenizer import load_tokenizer, tokenizer_fingerprint

BASE, TEACHER = "base", "teacher"
ROWS = "windows"  # the folder of the rows, apart from results of games

Scores = dict[str, dict[str, list[list[Score]]]]
"""Model -> set of windows -> one list for each seed, all in the order of the same windows."""


@dataclass(frozen=True)
class Audit:
    """How windows are cut and scored."""

    prefix: int = 50  # tokens given
    suffix: int = 50  # tokens to be reproduced
    system: str = ""  # content of the system message, as in training
    limit: int = 0  # windows of each set, evenly spread; 0: all
    batch: int = 32  # windows at once
    dtype: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for name, least in (("prefix", 1), ("suffix", 1), ("batch", 1), ("limit", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}; give at least {least}")


@dataclass(frozen=True)
class Subject:
    """A model under audit; students of one name differ in their training seed."""

    name: str
    seed: int
    model: str  # folder
    adapter: str = ""  # PEFT folder


def make_subjects(student: str, adapters: Sequence[tuple[str, str]], teacher: str) -> list[Subject]:
    """The base, then each adapter (seeds of a name counted from 0), then the teacher.

    Args:
        student: folder of the base model.
        adapters: (name, folder) pairs.
        teacher: folder; empty: none.

    Raises:
        UserError: a name that cannot be used.
    """
    subjects, seeds = [Subject(BASE, 0, student)], dict[str, int]()
    for name, folder in adapters:
        if name in (BASE, TEACHER) or not re.fullmatch(r"\w[\w.-]*", name):
            raise UserError(
                f"adapter name {name!r}: give letters, digits and . _ -, other than {BASE} and "
                f"{TEACHER}"
            )
        seeds[name] = seeds.get(name, -1) + 1
        subjects.append(Subject(name, seeds[name], student, folder))
    return subjects + ([Subject(TEACHER, 0, teacher)] if teacher else [])


def audit(
    out: str | os.PathLike,
    subjects: Sequence[Subject],
    train: str,
    held_out: str,
    how: Audit = Audit(),
) -> Scores:
    """Score all subjects on the windows of both folders of episodes.

    Args:
        out: folder; its folder `windows` gets one file for each model, seed and set.
        subjects: the first one's tokenizer cuts the windows.
        train: episodes that the students learnt from.
        held_out: episodes of games that they did not.
        how: sizes.

    Raises:
        UserError: bad input, tokenizers that differ, or an output folder of another audit.
    """
    tokenizer = _shared_tokenizer(subjects)
    prints = {s.model: fingerprint(s.model) for s in subjects}
    # What does not fit is refused before anything is scored.
    adapters = {s: _adapter(s, prints[s.model], how) for s in subjects}
    sets = _windows(train, held_out, tokenizer, how)
    with contextlib.ExitStack() as stack:
        logs = {}
        for name, windows in sets.items():
            digest = _digest(windows)
            for s in subjects:
                path = Path(out) / ROWS / f"{s.name}.{s.seed}.{name}.sqlite"
                config = _log_config(s, prints[s.model], digest, how)
                logs[s, name] = stack.enter_context(RowLog(path, config, Score))
        _describe(Path(out), subjects, tokenizer, {TRAIN: train, HELD_OUT: held_out}, how)
        for folder in dict.fromkeys(s.model for s in subjects):
            own = [s for s in subjects if s.model == folder]
            todo = {key: log for key, log in logs.items() if key[0] in own}
            _score_missing(folder, todo, adapters, sets, how)
    scores: Scores = {}
    for (subject, name), log in logs.items():
        found = {_key(row): row for row in log.rows}
        rows = [found[_key(window)] for window in sets[name]]
        scores.setdefault(subject.name, {}).setdefault(name, []).append(rows)
    return scores


def _log_config(subject: Subject, model: str, windows: str, how: Audit) -> dict[str, Any]:
    """What the scores of one subject on one set of windows depend on."""
    return {
        "model": model,
        "adapter": adapter_fingerprint(subject.adapter) if subject.adapter else "",
        "prefix": how.prefix,
        "suffix": how.suffix,
        "dtype": how.dtype,
        "windows": windows,
    }


def _score_missing(
    folder: str,
    logs: Mapping[tuple[Subject, str], RowLog[Score]],
    adapters: Mapping[Subject, tuple[Any, Any]],
    sets: Mapping[str, Sequence[Window]],
    how: Audit,
) -> None:
    """Fill the logs of the models that share the base in `folder`, which is loaded once."""
    logs = {key: log for key, log in logs.items() if len(log.rows) < len(sets[key[1]])}
    if not logs:
        return
    config, base = load_pretrained(folder, how.dtype)
    for (subject, name), log in logs.items():
        lora, lora_config = jax.device_put(adapters[subject][0]), adapters[subject][1]
        model, windows = Model(config, lora_config), sets[name]
        done = {_key(row) for row in log.rows}
        label = f"{subject.name}, seed {subject.seed}, {name}"
        left = len(windows) - len(done)
        with Progress(left, label, good="extractable", unit="window") as progress:
            # Batches are always cut alike, so that a resumed run computes the very same numbers.
            for at in range(0, len(windows), how.batch):
                part = windows[at : at + how.batch]
                if done.issuperset(map(_key, part)):
                    continue
                scores = score_windows(model, base, lora, part, how.batch)
                new = [score for score in scores if _key(score) not in done]
                log.append(*new)
                log.rows += new
                for score in new:
                    progress.add(score.extractable)


def _key(x: Window | Score) -> tuple[str, int, int]:
    return x.game_id, x.seed, x.start


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


def _digest(windows: Sequence[Window]) -> str:
    digest = hashlib.sha256()
    for window in windows:
        digest.update(repr(_key(window)).encode() + window.tokens.tobytes())
    return digest.hexdigest()


def _shared_tokenizer(subjects: Sequence[Subject]) -> Any:
    """The tokenizer of all models, since windows are made of token ids."""
    first = subjects[0].model
    tokenizer = load_tokenizer(first)
    for folder in {s.model for s in subjects} - {first}:
        if tokenizer_fingerprint(load_tokenizer(folder)) != tokenizer_fingerprint(tokenizer):
            raise UserError(
                f"{folder}: its tokenizer or chat template is not that of {first}, and windows "
                "are made of token ids; audit this model alone, as --student"
            )
    return tokenizer


def _adapter(subject: Subject, base_id: str, how: Audit) -> tuple[Any, Any]:
    """(adapter tree, its LoraConfig), or Nones; also checks that the model can read a window."""
    config = load_config(subject.model)
    length = how.prefix + how.suffix
    if length > config.max_len:
        raise UserError(
            f"prefix and suffix are {length} tokens together, {subject.model} was made for "
            f"{config.max_len}; lower them"
        )
    if not subject.adapter:
        return None, None
    return load_adapter(subject.adapter, Model(config), base_id)


def _windows(train: str, held_out: str, tokenizer: Any, how: Audit) -> dict[str, list[Window]]:
    sides: list[list[Window]] = []
    games: list[set[str]] = []
    for folder in (train, held_out):
        episodes: Sequence[Episode] = read_episodes(folder, "train")
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
    sets = sort_out(sides[0], sides[1], how.limit)
    for folder, name in ((train, TRAIN), (held_out, HELD_OUT)):
        if not sets[name]:
            raise UserError(
                f"{folder}: every suffix occurs in several games, so none is the game's own; "
                "raise --suffix"
            )
    return sets
