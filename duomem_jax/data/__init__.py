"""Episodes and demonstrations to packed rows, their schema on disk, and reading them as batches."""

from duomem_jax.data.examples import View, build_examples
from duomem_jax.data.facts import RowFacts
from duomem_jax.data.loader import batches
from duomem_jax.data.rows import RowFormat, TargetFormat
from duomem_jax.data.sources import Demonstrations, Episodes

__all__ = [
    "Demonstrations",
    "Episodes",
    "RowFacts",
    "RowFormat",
    "TargetFormat",
    "View",
    "batches",
    "build_examples",
]
