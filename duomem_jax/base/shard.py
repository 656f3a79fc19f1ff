"""Work that several processes share out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from duomem_jax.base.errors import UserError

T = TypeVar("T")
_SHARD = re.compile("([0-9]{1,5})/([0-9]{1,5})")  # as many digits as its files' names have


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count` equal parts; every process of a stage is given another one.

    Raises:
        UserError: there is no such part.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise UserError(f"shard {self}: the index must be 0 to {self.count - 1}; correct it")

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`2/8` → `Shard(2, 8)`.

        Raises:
            UserError: not of that form, or no such part.
        """
        # `int` alone would also take signs, spaces and underscores.
        found = _SHARD.fullmatch(text)
        index, count = map(int, found.groups()) if found else (0, 0)
        if not index < count:
            raise UserError(
                f"shard {text!r}: give i/n with i from 0 to n - 1, such as 0/4, and n below 100,000"
            )
        return cls(index, count)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is shared out."""
        return self.count == 1

    @property
    def label(self) -> str:
        """As part of a file's name: `00002-of-00008`."""
        return f"{self.index:05d}-of-{self.count:05d}"

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """This part of some items: every `count`-th, so that neighbours go to different parts."""
        return items[self.index :: self.count]

    def siblings(self) -> list["Shard"]:
        """All parts, this one included."""
        return [Shard(i, self.count) for i in range(self.count)]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE = Shard()
