"""One operation at a time: what an expert of it is shown of a dialogue."""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from duomem_jax.base.ranges import Count, Seed, Share, options
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.memory.operations import answer, extract, update
from duomem_jax.memory.teach.answers import answers
from duomem_jax.memory.teach.extractions import extractions
from duomem_jax.memory.teach.updates import updates
from duomem_jax.records.demonstrations import Demonstration
from duomem_jax.records.dialogues import Dialogue

Name: TypeAlias = Literal["extract", "update", "answer"]
EXTRACT: Name = "extract"
UPDATE: Name = "update"
ANSWER: Name = "answer"
_PROMPTS = {EXTRACT: extract.PROMPT, UPDATE: update.PROMPT, ANSWER: answer.PROMPT}


@options
class Teaching:
    """What stands before the new facts and the questions that experts are shown."""

    embedder: str = DEFAULT_EMBEDDER  # finds memories that are like a fact or a question
    tokens: Count = 400  # words shown with a question, at most
    # Of the questions, those that are shown the turns which the answer is in and nothing else; the
    # others are shown what is found, half of them turns and half of them facts, the answer's among
    # them.
    evidence_share: Share = 0.34
    seed: Seed = 0  # of which question is shown what

    def config(self, operation: Name) -> dict[str, Any]:
        """What the demonstrations of an operation depend on; JSON."""
        own: dict[str, Any] = {"prompt": _PROMPTS[operation].sha256}
        if operation != EXTRACT:
            own["embedder"] = make_embedder(self.embedder).name
        if operation == ANSWER:
            own |= {
                "tokens": self.tokens,
                "evidence_share": self.evidence_share,
                "seed": self.seed,
            }
        return own


def demonstrate(dialogue: Dialogue, operation: Name, how: Teaching) -> Iterator[Demonstration]:
    """Every chat that an expert of an operation is shown of a dialogue."""
    if operation == EXTRACT:
        return extractions(dialogue)
    embedder = make_embedder(how.embedder)
    if operation == UPDATE:
        return updates(dialogue, embedder)
    return answers(dialogue, embedder, how.tokens, how.evidence_share, how.seed)
