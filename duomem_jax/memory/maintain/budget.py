"""Fit the memories into a number of words: the least valuable go first."""

from collections.abc import Sequence

from duomem_jax.memory.maintain.forgetting import retention
from duomem_jax.memory.operations.records import Delete, Operation
from duomem_jax.memory.retrieve.protocol import Vectors
from duomem_jax.memory.store.entry import Entry

WORDS = 2000  # of all memories of an owner


def budget(entries: Sequence[Entry], vectors: Vectors, now: str) -> list[Operation]:
    """Delete what has no room within `WORDS` words of each owner."""
    left: dict[str, int] = {}
    operations: list[Operation] = []
    for entry in sorted(entries, key=lambda e: (-value(e, now), -e.id)):
        left[entry.owner] = left.get(entry.owner, WORDS) - len(entry.text.split())
        if left[entry.owner] < 0:
            operations.append(Delete(entry.id))
    return operations


def value(entry: Entry, now: str) -> float:
    """Retention, times the success rate that one success and one failure more would give."""
    return retention(entry, now) * (entry.successes + 1) / (entry.uses + 2)
