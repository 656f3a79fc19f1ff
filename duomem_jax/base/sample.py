"""Chances that depend on names alone, and few of many."""

import hashlib
from collections.abc import Sequence
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
