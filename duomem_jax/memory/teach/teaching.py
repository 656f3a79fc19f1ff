"""One operation at a time: what an expert of it is shown of a dialogue."""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from duomem_jax.base.ranges import Count, Seed, Share, options
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.memory.operations import answer, extract, update
from duomem_jax.memory.teach.answers import Pages, answers
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
    words: Count = 200  # shown with a question, at most
    # Of the questions, those that are shown the turns which the answer is in and nothing else; the
    # others are shown what is found, half of them turns and half of them facts, the answer's among
    # them.
    evidence_share: Share = 0.5
    # Of the adversarial questions, those that are shown: an expert that saw all of LoCoMo's, a
    # quarter of its questions, declined two in three of those that it could have answered.
    unanswerable: Share = 0.2
    seed: Seed = 0  # of which question is shown what

    def config(self, operation: Name) -> dict[str, Any]:
        """What the demonstrations of an operation depend on; JSON."""
        own: dict[str, Any] = {"prompt": _PROMPTS[operation].sha256}
        if operation != EXTRACT:
            own["embedder"] = make_embedder(self.embedder).name
        if operation == ANSWER:
            own |= {
                "words": self.words,
                "evidence_share": self.evidence_share,
                "unanswerable": self.unanswerable,
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
    pages = Pages(how.words, how.evidence_share, how.unanswerable, how.seed)
    return answers(dialogue, embedder, pages)
