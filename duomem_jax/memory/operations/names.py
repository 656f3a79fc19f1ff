"""The operations by name, each with its prompt."""

from typing import Literal, TypeAlias

from duomem_jax.base.prompts import Prompt
from duomem_jax.memory.operations import answer, extract, look, update

Name: TypeAlias = Literal["extract", "update", "answer", "look"]
EXTRACT: Name = "extract"
UPDATE: Name = "update"
ANSWER: Name = "answer"
LOOK: Name = "look"
PROMPTS: dict[Name, Prompt] = {
    EXTRACT: extract.PROMPT,
    UPDATE: update.PROMPT,
    ANSWER: answer.PROMPT,
    LOOK: look.PROMPT,
}
EXPERTS: tuple[Name, ...] = tuple(PROMPTS)
OPERATIONS: tuple[Name, ...] = (EXTRACT, UPDATE, ANSWER)  # that need words alone
