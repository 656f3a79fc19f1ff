"""Conversations of two people over many sessions: generated ones, and a teacher that knows them."""

from duomem_jax.worlds.dialogues.generate.dialogue import generate_dialogue
from duomem_jax.worlds.dialogues.generate.size import Size

__all__ = ["Size", "generate_dialogue"]
