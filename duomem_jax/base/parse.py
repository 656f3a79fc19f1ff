"""JSON: of what others wrote all that can be wrong is one exception; and lines for scripts."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

DEEPEST = 100  # levels; what walks through a document, such as `json.dumps`, ends at about 1,000


def parse_json(text: str | bytes) -> Any:
    """A JSON document that can be walked through, compared and written again.

    Args:
        text: bytes are UTF-8.

    Raises:
        ValueError: it is no JSON, nested too deep, or has halves of characters, which no file can
            hold.
    """
    if isinstance(text, bytes):
        # Not by `json.loads`, which lets halves of characters through. Some editors put a mark of
        # byte order first.
        text = text.decode("utf-8-sig")
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    # Most documents have too few brackets to be deep.
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(found):
        raise ValueError(f"nested in more than {DEEPEST} levels")
    if "\\ud" in text.lower():
        json.dumps(found, ensure_ascii=False).encode()
    return found


def json_lines(records: Iterable[Mapping[str, Any]]) -> str:
    """JSON Lines, for scripts; numpy's numbers and arrays become plain ones."""
    return "\n".join(json.dumps(r, ensure_ascii=False, default=_plain) for r in records)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _is_deep(document: Any) -> bool:
    level = [document]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
