"""Procedural memories: written from won episodes, kept in a bank, retrieved, maintained."""

from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.build import build_memories
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.maintain import update_memories
from duomem_jax.memory.write import Writing, make_writer

__all__ = [
    "MemoryBank",
    "Writing",
    "build_memories",
    "make_embedder",
    "make_writer",
    "update_memories",
]
