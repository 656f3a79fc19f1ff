"""The three operations by name, each with its prompt."""

from typing import Literal, TypeAlias

from duomem_jax.base.prompts import Prompt
from duomem_jax.memory.operations import answer, extract, update

Name: TypeAlias = Literal["extract", "update", "answer"]
EXTRACT: Name = "extract"
UPDATE: Name = "update"
ANSWER: Name = "answer"
PROMPTS: dict[Name, Prompt] = {
    EXTRACT: extract.PROMPT,
    UPDATE: update.PROMPT,
    ANSWER: answer.PROMPT,
}
OPERATIONS: tuple[Name, ...] = tuple(PROMPTS)
