"""Keeping memories good: what is dropped, merged or shortened as they grow."""

from duomem_jax.memory.maintain.bank import update_memories
from duomem_jax.memory.maintain.policies import POLICIES, Policy

__all__ = ["POLICIES", "Policy", "update_memories"]
