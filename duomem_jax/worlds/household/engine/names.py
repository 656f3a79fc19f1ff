"""Visible names of PDDL ids: `countertop_bar__plus_01_dot_…` is shown as `countertop 2`."""

from collections import Counter
from collections.abc import Iterable

_ESCAPES = (("_minus_", "-"), ("_plus_", "+"), ("_dot_", "."), ("_comma_", ","))


def visible_names(ids: Iterable[str]) -> dict[str, str]:
    """Name every id: its kind and a number.

    Ids of a kind are numbered downwards from their count in sorted order, so the first in
    the alphabet has the highest number. `basin` in an id makes another kind (sink, sinkbasin).
    Source: `alfworld.agents.utils.misc.Demangler`.
    """
    ordered = sorted(ids)
    kinds = {i: _kind(i) for i in ordered}
    left = Counter(kind for kind in kinds.values() if kind is not None)
    names = {}
    # A dictionary keeps the order of the sorted ids, which decides the numbers.
    for i, kind in kinds.items():
        if kind is None:
            # The real one joins name and number with a space, also where there is no number.
            names[i] = _unescaped(i) + " "
        else:
            names[i] = f"{kind} {left[kind]}"
            left[kind] -= 1
    return names


def _kind(i: str) -> str | None:
    kind, bar, _ = i.partition("_bar_")
    if not bar:
        return None
    return kind + "basin" if "basin" in i else kind


def _unescaped(i: str) -> str:
    for escape, sign in _ESCAPES:
        i = i.replace(escape, sign)
    return i


def enumerate_words(words: Iterable[str]) -> str:
    """`a, b, and c`; `a, and b`; `nothing` when there is none."""
    words = list(words)
    if not words:
        return "nothing"
    if len(words) == 1:
        return words[0]
    return ", ".join(words[:-1]) + ", and " + words[-1]
