"""Few of many."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread(items: Sequence[T], n: int) -> Sequence[T]:
    """`n` of the items, evenly spread over their order (of games: by task type); 0: all."""
    if not 0 < n < len(items):
        return items
    return [items[i * len(items) // n] for i in range(n)]
