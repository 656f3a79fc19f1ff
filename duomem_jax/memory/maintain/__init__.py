"""Keeping memories good: what is dropped, merged or shortened as they grow."""

from duomem_jax.memory.maintain.bank import update_memories
from duomem_jax.memory.maintain.policies import POLICIES, Policy, PolicyName
from duomem_jax.memory.maintain.run import maintain as maintain_store

__all__ = ["POLICIES", "Policy", "PolicyName", "maintain_store", "update_memories"]
