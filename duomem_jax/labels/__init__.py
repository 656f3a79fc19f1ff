"""A teacher's distributions over packed rows."""

from duomem_jax.labels.label import Scorer, label_examples
from duomem_jax.labels.local import ModelScorer
from duomem_jax.labels.served import ServedScorer

__all__ = [
    "ModelScorer",
    "Scorer",
    "ServedScorer",
    "label_examples",
]
