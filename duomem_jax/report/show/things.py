"""What lies at a path as text: what it is, and some of what it holds."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import read_json
from duomem_jax.base.log import read_log
from duomem_jax.base.ranges import Count, Limit, options
from duomem_jax.lora.peft import NOTES
from duomem_jax.models.locate import model_path
from duomem_jax.records.demonstrations import demonstration_from_record
from duomem_jax.records.dialogues import dialogue_from_record
from duomem_jax.records.episodes import episode_from_record
from duomem_jax.records.memories import memory_from_record
from duomem_jax.records.store import spec
from duomem_jax.records.store.manifest import load_manifest, split_facts
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.there import instead, there
from duomem_jax.report.show.records import (
    demonstration_text,
    dialogue_text,
    episode_text,
    indented,
    memory_text,
    row_text,
)
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.worlds.games import Games


@options
class Which:
    """Which records of a dataset or a log."""

    first: Limit = 0  # counted from 0
    limit: Count = 1  # records at most
    name: str = ""  # only those whose id has this in it


@dataclass(frozen=True)
class _Kind:
    """How records of one kind of dataset are shown.

    Attributes:
        ids: fields that name a record.
        text: of a stored record.
    """

    ids: tuple[str, ...]
    text: Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class _Thing:
    """How a folder that is no dataset is shown.

    Attributes:
        head: what it is, in words.
        facts: what is known of it.
        text: all of it; None: head and facts.
    """

    head: Callable[[Path], str]
    facts: Callable[[Path], dict[str, Any]]
    text: Callable[[Path], str] | None = None


_KINDS = {
    spec.EPISODES: _Kind(("game_id", "task"), lambda r: episode_text(episode_from_record(r))),
    spec.MEMORIES: _Kind(("id", "key", "game_id"), lambda r: memory_text(memory_from_record(r))),
    spec.DIALOGUES: _Kind(("id",), lambda r: dialogue_text(dialogue_from_record(r))),
    spec.DEMONSTRATIONS: _Kind(
        ("id", "group"), lambda r: demonstration_text(demonstration_from_record(r))
    ),
}


def shown(path: Path, which: Which, tokenizer: str = "") -> str:
    """What lies at a path.

    Args:
        path: a dataset, games, an adapter, a model, a run of training, a file of results or of
            answers, or a folder with a report.
        which: records of it.
        tokenizer: folder of the tokenizer of packed rows; "": they are shown as ids.

    Raises:
        UserError: nothing that can be shown, or it is damaged.
    """
    if path.suffix == ".sqlite" and path.is_file():
        return _log(path, which)
    if path.is_dir() and load_manifest(path):
        return _dataset(path, which, tokenizer)
    thing = _thing(path)
    return thing.text(path) if thing.text else _told(thing, path)


def stored(path: Path, which: Which) -> list[dict[str, Any]]:
    """The same as values: records as they are stored, or one of what is known of the rest.

    Raises:
        UserError: as `shown`.
    """
    if path.suffix == ".sqlite" and path.is_file():
        return _rows(path, read_log(path)[1], which)
    if path.is_dir() and load_manifest(path):
        return picked_records(path, which)[1]
    return [_thing(path).facts(path)]


def _thing(path: Path) -> _Thing:
    for name, thing in _FILES.items():
        if (path / name).is_file():
            return thing
    raise UserError(f"{path}: there is {there(path)}, which cannot be shown")


def picked_records(folder: Path, which: Which) -> tuple[str, list[dict[str, Any]]]:
    """The kind of a dataset, and some of its records as they are stored.

    Raises:
        UserError: no dataset, or no such record.
    """
    manifest = load_manifest(folder)
    if manifest is None:
        raise UserError(f"{folder}: {instead(folder, 'a dataset')}")
    kind = manifest["name"]
    fields = _KINDS[kind].ids if kind in _KINDS else ()
    records = read_dataset(folder, spec.SPLIT)
    return kind, _picked(records, which, lambda r: [r[name] for name in fields], str(folder))


def _dataset(folder: Path, which: Which, tokenizer: str) -> str:
    kind, found = picked_records(folder, which)
    facts = split_facts(folder, spec.SPLIT)
    counts = ", ".join(f"{count:,} {name}" for name, count in facts["counts"].items())
    head = f"{folder}: {facts['records']:,} {kind}" + (f" ({counts})" if counts else "")
    if kind == spec.ROWS:
        own = load_tokenizer(model_path(tokenizer)) if tokenizer else None
        return "\n\n".join([head, *(row_text(record, own) for record in found)])
    if kind not in _KINDS:
        raise UserError(f"{folder}: holds {kind}, which cannot be shown")
    return "\n\n".join([head, *map(_KINDS[kind].text, found)])


def _picked(
    records: Sequence[Any], which: Which, ids: Callable[[Any], list[str]], where: str
) -> list[Any]:
    """Some records.

    Raises:
        UserError: none is meant.
    """
    if not which.name:
        found = list(records[which.first : which.first + which.limit])
    else:
        named = (r for r in records if any(which.name in name for name in ids(r)))
        found = [r for _, r in zip(range(which.first + which.limit), named, strict=False)]
        found = found[which.first :]
    if not found and len(records):
        meant = f"named {which.name!r}" if which.name else f"from {which.first} on"
        raise UserError(f"{where}: no record {meant}; there are {len(records):,}")
    return found


def _log(path: Path, which: Which) -> str:
    """Rows of results or answers, as they are stored."""
    config, records = read_log(path)
    found = _rows(path, records, which)
    return "\n\n".join([f"{path}: {len(records):,} rows\n{_facts(config)}", *map(_facts, found)])


def _rows(path: Path, records: Sequence[bytes], which: Which) -> list[dict[str, Any]]:
    rows = [json.loads(record) for record in records]
    return _picked(rows, which, lambda row: [str(v) for v in row.values()], str(path))


def _facts(values: Any, depth: int = 0) -> str:
    """Nested fields, one a line."""
    lines = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            lines += [f"{'  ' * depth}{name}:", _facts(value, depth + 1)]
        elif isinstance(value, str) and "\n" in value:
            lines += [f"{'  ' * depth}{name}:", indented(value)]
        else:
            told = value if isinstance(value, str) else json.dumps(value)
            lines.append(f"{'  ' * depth}{name}: {told}")
    return "\n".join(lines)


def _told(thing: _Thing, folder: Path) -> str:
    return f"{folder}: {thing.head(folder)}\n{_facts(thing.facts(folder))}"


def _adapter(folder: Path) -> dict[str, Any]:
    """What PEFT is told of an adapter, and what the notes beside it say."""
    peft = read_json(folder / "adapter_config.json", missing="", damaged="copy it again")
    told = ("base_model_name_or_path", "r", "lora_alpha", "use_rslora", "target_modules")
    facts = {name: peft[name] for name in told if name in peft}
    notes = folder / NOTES
    if notes.exists():
        facts |= read_json(notes, missing="", damaged="copy it again")
    return facts


def _config(folder: Path) -> dict[str, Any]:
    """Of a model, or of a run of training."""
    return read_json(folder / "config.json", missing="", damaged="copy it again")


def _games(folder: Path) -> dict[str, Any]:
    """How many generated games of each kind of task."""
    return dict(sorted(Counter(task.kind for task in Games(str(folder)).load()).items()))


def _games_text(folder: Path) -> str:
    kinds = _games(folder)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return f"{folder}: {sum(kinds.values()):,} games ({counts})"


def _report(folder: Path) -> dict[str, Any]:
    """All numbers of a report."""
    return read_json(folder / "report.json", missing="run its command again", damaged="delete it")


def _report_text(folder: Path) -> str:
    return (folder / "report.md").read_text(encoding="utf-8")


# The first that is there decides.
_FILES = {
    "report.md": _Thing(there, _report, _report_text),
    "adapter_config.json": _Thing(lambda folder: "a PEFT adapter", _adapter),
    "config.json": _Thing(there, _config),
    "generated.json": _Thing(there, _games, _games_text),
}
