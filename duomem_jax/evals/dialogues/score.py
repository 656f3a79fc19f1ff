"""From answers to results: every metric of every answer."""

from collections.abc import Sequence

from duomem_jax.evals.dialogues.metrics import score
from duomem_jax.memory.embed import Embedder
from duomem_jax.records.answers import Answered
from duomem_jax.records.results import Result

# Beside the metrics: against the audited key, and what was on the page.
CORRECTED, FOUND, SHARE = "f1, corrected key", "evidence shown", "share shown"


def results(answers: Sequence[Answered], embedder: Embedder) -> list[Result]:
    """One result for each answer.

    Args:
        answers: of any subjects.
        embedder: for the similarity of answers and keys.
    """
    replies, questions = [a.answer for a in answers], [a.question for a in answers]
    scores = score(replies, questions, embedder)
    audited = score(replies, questions, corrected=True)
    found = []
    for answered, own, other in zip(answers, scores, audited, strict=True):
        more = {CORRECTED: other["f1"], SHARE: answered.share}
        if answered.found >= 0:
            more[FOUND] = answered.found
        found.append(
            Result(
                subject=answered.subject,
                item=answered.item,
                group=answered.dialogue,
                kind=answered.question.kind,
                seed=answered.seed,
                scores=own | more,
                cost=answered.cost,
                ended=answered.ended,
            )
        )
    return found
