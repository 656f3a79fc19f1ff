"""What a teacher shows the experts, from dialogues whose facts and keys are known."""

from duomem_jax.memory.teach.teaching import ANSWER, EXTRACT, UPDATE, Teaching, demonstrate

__all__ = ["ANSWER", "EXTRACT", "UPDATE", "Teaching", "demonstrate"]
