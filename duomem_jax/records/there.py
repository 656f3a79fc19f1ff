"""What lies at a path, in words, for the message that something else is wanted."""

import fnmatch
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from duomem_jax.base.folder import MARK
from duomem_jax.base.parse import parse_json

_MOST_NAMES = 4  # of a folder that nothing is known about


def there(path: str | os.PathLike) -> str:
    """Such as "a dataset of episodes" or "a Hugging Face model"; never fails.

    Told by the files that each kind of folder has, which are small: nothing is loaded.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _folder(path)
        return "a file" if path.exists() else "nothing"
    except OSError as e:
        return f"nothing that can be read ({e.strerror})"


def instead(path: str | os.PathLike, wanted: str) -> str:
    """The end of a sentence: what is wanted, and what is there instead."""
    return f"{wanted} is wanted, and there is {there(path)}"


def _folder(path: Path) -> str:
    names = sorted(p.name for p in path.iterdir())
    for marker, words in _MARKERS.items():
        found = fnmatch.filter(names, marker)
        if found and (said := words(path / found[0])):
            return said
    visible = [name for name in names if not name.startswith(".")]
    if not visible:
        return "an empty folder"
    more = f" and {len(visible) - _MOST_NAMES} more" if len(visible) > _MOST_NAMES else ""
    return f"a folder with {', '.join(visible[:_MOST_NAMES])}{more}"


def _json(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _dataset(path: Path) -> str:
    # Rows are called examples in files, and so by the command that makes them.
    return f"a dataset of {_json(path).get('name', 'unknown records')}"


def _config(path: Path) -> str:
    config = _json(path)
    if "model_type" in config:
        return f"a model of the kind {config['model_type']!r}"
    if "objective" in config:
        adapter = path.parent / "adapter"
        result = f", whose adapter is in {adapter}" if adapter.is_dir() else ""
        return f"a run of train.py{result}"
    return ""


def _mark(path: Path) -> str:
    return str(_json(path).get("kind", ""))


# The first that is there decides: a folder of a model may hold an adapter's files, say.
_MARKERS: dict[str, Callable[[Path], str]] = {
    "manifest.json": _dataset,
    ".work": lambda path: "a dataset that is not complete",
    "adapter_config.json": lambda path: "a PEFT adapter",
    "config.json": _config,
    "generated.json": lambda path: "a folder of generated games",
    MARK: _mark,
    "tokenizer.json": lambda path: "a tokenizer without a model",
    "*.tw-pddl": lambda path: "a game",
    "*.jsonl.xz": lambda path: "packed games",
}
