"""Names, values and phrasings, parted between training and held-out dialogues.

The rule: of every list of the files in `tables/`, the entries at positions 2, 5, 8, ... (counted
from 0) are held out; training dialogues are made of the others. A held-out dialogue thus shares no
name, no value and no phrasing with any training dialogue; only the teacher's sentences have one
form.
"""

import functools
import hashlib
import tomllib
from importlib.resources import files
from typing import Any

NAMES = ("names", "values", "slots", "happenings", "chat")
WHOLE = ("fields",)  # what is a list, but says how others are to be read


@functools.cache
def tables(held_out: bool) -> dict[str, Any]:
    """One side of the split, by file and key."""
    return {name: _side(_read(name), held_out) for name in NAMES}


@functools.cache
def slots() -> dict[str, Any]:
    """What can be true of people, both sides: for what does not depend on the split."""
    return _read("slots")


@functools.cache
def rows(slot: str, held_out: bool) -> tuple[dict[str, str], ...]:
    """The values of a slot, each with its fields and as it stands in a sentence."""
    table = tables(held_out)["values"][slot]
    return tuple(dict(zip(table["fields"], row, strict=True)) for row in table["rows"])


@functools.cache
def content() -> str:
    """A hash of the tables: dialogues of other tables are other dialogues."""
    texts = "\0".join(_text(name) for name in NAMES)
    return hashlib.sha256(texts.encode()).hexdigest()[:16]


def _text(name: str) -> str:
    place = files("duomem_jax.worlds.dialogues.generate") / "tables" / f"{name}.toml"
    return place.read_text(encoding="utf-8")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(_text(name))


def _side(node: Any, held_out: bool) -> Any:
    if isinstance(node, dict):
        return {k: v if k in WHOLE else _side(v, held_out) for k, v in node.items()}
    if isinstance(node, list):
        kept = [item for i, item in enumerate(node) if (i % 3 == 2) == held_out]
        # A list within a list is one entry: the turns of an exchange, the fields of a row.
        return [_side(item, held_out) if isinstance(item, dict) else item for item in kept]
    return node
