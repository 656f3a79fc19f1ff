"""Conversations of two people over many sessions: LoCoMo's, generated ones, and their teacher."""

from duomem_jax.worlds.dialogues.generate.dialogue import generate_dialogue
from duomem_jax.worlds.dialogues.generate.size import Size
from duomem_jax.worlds.dialogues.generate.tables import content as world_content
from duomem_jax.worlds.dialogues.locomo import read_locomo
from duomem_jax.worlds.dialogues.teacher import (
    ADD,
    DELETE,
    KEEP,
    UPDATE,
    Decision,
    answer,
    apply,
    extract,
    remembered,
    update,
)

__all__ = [
    "ADD",
    "DELETE",
    "KEEP",
    "UPDATE",
    "Decision",
    "Size",
    "answer",
    "apply",
    "extract",
    "generate_dialogue",
    "read_locomo",
    "remembered",
    "update",
    "world_content",
]
