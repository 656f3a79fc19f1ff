"""Memories: written, kept in a bank or a store, retrieved, maintained."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duomem_jax.memory.bank import MemoryBank
    from duomem_jax.memory.build import build_memories
    from duomem_jax.memory.embed import make_embedder
    from duomem_jax.memory.maintain import update_memories
    from duomem_jax.memory.store.store import Store
    from duomem_jax.memory.write import Writing, make_writer

__all__ = [
    "MemoryBank",
    "Store",
    "Writing",
    "build_memories",
    "make_embedder",
    "make_writer",
    "update_memories",
]

# Imported when they are asked for: writers bring JAX with them, and a store opens in a tenth of the
# time that this takes.
_HOMES = {
    "MemoryBank": "bank",
    "Store": "store.store",
    "Writing": "write",
    "build_memories": "build",
    "make_embedder": "embed",
    "make_writer": "write",
    "update_memories": "maintain",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
