"""What a teacher shows the experts, from dialogues whose facts and keys are known."""

from duomem_jax.memory.teach.teaching import Demonstrator, Teaching

__all__ = ["Demonstrator", "Teaching"]
