"""Conversations of two people over many sessions: LoCoMo's, and generated ones with their teacher."""

from duomem_jax.worlds.dialogues.generate.dialogue import generate_dialogue
from duomem_jax.worlds.dialogues.generate.size import Size
from duomem_jax.worlds.dialogues.locomo import read_locomo

__all__ = ["Size", "generate_dialogue", "read_locomo"]
