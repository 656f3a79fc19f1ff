"""Chances that depend on names alone, and few of many."""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def derived_seed(seed: int, name: str) -> int:
    """32 bits of (seed, name): what is drawn depends on neither slots nor neighbours."""
    # Not Python's `hash`, which differs from process to process. 32 bits, as rows of a generator
    # keep their seed in a uint32.
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def drawn(seed: int, name: str, share: float) -> bool:
    """Whether what has this name is in a share that is drawn by name."""
    return derived_seed(seed, name) < share * 2**32


def spread(items: Sequence[T], n: int) -> Sequence[T]:
    """`n` of the items, evenly spread over their order (of games: by task type); 0: all."""
    if not 0 < n < len(items):
        return items
    return [items[i * len(items) // n] for i in range(n)]


def few_of_each(
    items: Iterable[T], n: int, kind: Callable[[T], str], name: Callable[[T], str], seed: int
) -> list[T]:
    """`n` items of each kind, or all of a kind with fewer, in their order.

    Which ones depends on their names and the seed. A larger `n` keeps those of a smaller one.
    """
    # One pass, and no more of the items held than are chosen: games are read as they are asked for.
    # Heaps have their least on top, which is to be the next that falls out: hence the minus.
    heaps: dict[str, list[tuple[int, int, T]]] = defaultdict(list)
    for place, item in enumerate(items):
        heap = heaps[kind(item)]
        heapq.heappush(heap, (-derived_seed(seed, name(item)), place, item))
        if len(heap) > n:
            heapq.heappop(heap)
    chosen = {place: item for heap in heaps.values() for _, place, item in heap}
    return [chosen[place] for place in sorted(chosen)]
