"""Forget what is old and was never needed (MemoryBank, arXiv 2305.10250).

Ebbinghaus' curve: a memory of strength S is retained after t days with exp(-t / S). A memory gets
stronger with each use, so it fades *later*; in MemoryBank's code the strength multiplies t, so that
what was used most is forgotten first.
"""

import math
from collections.abc import Sequence
from datetime import datetime

from duomem_jax.memory.operations.records import Delete, Operation
from duomem_jax.memory.retrieve.protocol import Vectors
from duomem_jax.memory.store.entry import Entry

DAYS = 60.0  # strength of a memory that was never used
LEAST = 0.05  # retention below which a memory is dropped: after half a year without a use
_DAY = 24 * 3600


def retention(entry: Entry, now: str) -> float:
    """How well a memory is retained, from 0 to 1."""
    age = datetime.fromisoformat(now) - datetime.fromisoformat(entry.happened)
    days = max(age.total_seconds() / _DAY, 0.0)
    return math.exp(-days / (DAYS * (1 + entry.uses)))


def fading(entries: Sequence[Entry], vectors: Vectors, now: str) -> list[Operation]:
    """Delete what has faded; nothing is drawn, so the same store gives the same result."""
    return [Delete(entry.id) for entry in entries if retention(entry, now) < LEAST]
