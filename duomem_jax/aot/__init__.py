"""What a step would need and cost on a TPU, from its compiled program, without the TPU."""

from duomem_jax.aot.check import Check, check
from duomem_jax.aot.steps import RowSizes
from duomem_jax.aot.text import compiled_text
from duomem_jax.aot.topology import compile_devices, parse_topology

__all__ = [
    "Check",
    "RowSizes",
    "check",
    "compile_devices",
    "compiled_text",
    "parse_topology",
]
