"""Random choices that are the same in every process and in every version of Python."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """A stream of choices, made of a name alone.

    Args:
        name: whatever the stream is to depend on.
    """

    # Not `random.Random`: only its `random()` is promised to stay as it is between versions.

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._blocks = 0
        self._left: list[int] = []

    def _word(self) -> int:
        if not self._left:
            block = hashlib.blake2b(self._name + b"\0%d" % self._blocks).digest()
            self._blocks += 1
            self._left = [int.from_bytes(block[i : i + 8], "little") for i in range(0, 64, 8)]
        return self._left.pop()

    def below(self, n: int) -> int:
        """A whole number of 0 to n - 1."""
        return self._word() % n

    def between(self, low: int, high: int) -> int:
        """A whole number of low to high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, share: float) -> bool:
        """True in a share of the calls."""
        return self._word() < share * 2**64

    def pick(self, items: Sequence[T]) -> T:
        """One of some items."""
        return items[self.below(len(items))]

    def weighted(self, weights: Mapping[T, int]) -> T:
        """One of the keys, by its weight."""
        left = self.below(sum(weights.values()))
        for item, weight in weights.items():
            if left < weight:
                return item
            left -= weight
        raise AssertionError("weights are not negative")

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in another order."""
        mixed = list(items)
        for i in range(len(mixed) - 1, 0, -1):
            j = self.below(i + 1)
            mixed[i], mixed[j] = mixed[j], mixed[i]
        return mixed
