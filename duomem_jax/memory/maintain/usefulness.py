"""Drop what was shown and did not help (MemP, arXiv 2508.06433, zjunlp/MemP)."""

from collections.abc import Sequence
from typing import Protocol

from duomem_jax.memory.operations.records import Delete, Operation
from duomem_jax.memory.retrieve.protocol import Vectors
from duomem_jax.memory.store.entry import Entry

# Judged after 3 uses, dropped below one success in two.
MIN_USES = 3
MIN_RATE = 0.5


class Used(Protocol):
    """What is judged: a fact of a store or a procedure of a bank."""

    @property
    def uses(self) -> int:
        """How often it was shown."""
        ...

    @property
    def successes(self) -> int:
        """How many of those ended well."""
        ...


def misled(memory: Used) -> bool:
    """Whether it was shown often enough to be judged, and failed more often than not."""
    # One with few uses is kept, whatever came of them: it has not been judged yet.
    return memory.uses >= MIN_USES and memory.successes < MIN_RATE * memory.uses


def useless(entries: Sequence[Entry], vectors: Vectors, now: str) -> list[Operation]:
    """Delete what misled."""
    return [Delete(entry.id) for entry in entries if misled(entry)]
