"""Won episodes to packed rows, the schema of rows on disk, and reading them as batches."""

from duomem_jax.data.examples import View, build_examples
from duomem_jax.data.facts import RowFacts
from duomem_jax.data.loader import batches
from duomem_jax.data.rows import RowFormat, TargetFormat

__all__ = [
    "RowFacts",
    "RowFormat",
    "TargetFormat",
    "View",
    "batches",
    "build_examples",
]
