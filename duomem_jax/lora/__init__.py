"""Adapters as plain trees: merge, stack, PEFT folders, a model opened with its adapter."""

from duomem_jax.lora.open import Opened, open_model
from duomem_jax.lora.peft import load_adapter, save_adapter
from duomem_jax.lora.tree import Adapter, stack

__all__ = [
    "Adapter",
    "Opened",
    "load_adapter",
    "open_model",
    "save_adapter",
    "stack",
]
