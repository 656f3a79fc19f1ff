"""Policies by name: one file, its name and a line here, one test to add another."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from duomem_jax.memory.maintain.budget import budget
from duomem_jax.memory.maintain.forgetting import fading
from duomem_jax.memory.maintain.merge import duplicates
from duomem_jax.memory.maintain.usefulness import useless
from duomem_jax.memory.operations.records import Operation
from duomem_jax.memory.retrieve.protocol import Vectors
from duomem_jax.memory.store.entry import Entry

# What is to be done to some memories, given their vectors, as things stand at a time (ISO 8601 in
# UTC).
Policy: TypeAlias = Callable[[Sequence[Entry], Vectors, str], list[Operation]]

PolicyName = Literal["useless", "fading", "duplicates", "budget"]
POLICIES: dict[PolicyName, Policy] = {
    "useless": useless,
    "fading": fading,
    "duplicates": duplicates,
    "budget": budget,
}
