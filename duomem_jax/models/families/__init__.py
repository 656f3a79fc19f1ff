"""Registry of model families: one file and one line here each."""

from duomem_jax.models.families.base import Family
from duomem_jax.models.families.qwen3 import QWEN3

FAMILIES: dict[str, Family] = {family.model_type: family for family in (QWEN3,)}
