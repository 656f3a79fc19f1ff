"""Losses on hidden states: the head is fused with the loss, chunk by chunk."""

from duomem_jax.objectives.aligned.target import ON_CHUNKS, AlignedTargets
from duomem_jax.objectives.batch import Batch, Seen, Stored, Tokens
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.objectives.targets import (
    LiveTargets,
    Loss,
    States,
    StoredTargets,
    Targets,
    TextTargets,
)

__all__ = [
    "ON_CHUNKS",
    "AlignedTargets",
    "Batch",
    "LiveTargets",
    "Loss",
    "ObjectiveConfig",
    "Seen",
    "States",
    "Stored",
    "StoredTargets",
    "Targets",
    "TextTargets",
    "Tokens",
]
