"""From answers to results: every metric of every answer."""

from collections.abc import Mapping, Sequence

from duomem_jax.evals.dialogues.judge import Rubric
from duomem_jax.evals.dialogues.metrics import key_of, locomo_f1, score
from duomem_jax.memory.embed import Embedder
from duomem_jax.records.answers import Answered
from duomem_jax.records.results import Result

# Beside the metrics: against the audited key, and what was on the page.
CORRECTED, FOUND, SHARE = "f1, corrected key", "evidence shown", "share shown"


def judged_as(rubric: Rubric) -> str:
    """Name of the score that a judge of this rubric gives."""
    return f"judge, {rubric}"


def results(
    answers: Sequence[Answered],
    embedder: Embedder,
    verdicts: Sequence[Mapping[Rubric, bool | None]] = (),
) -> list[Result]:
    """One result for each answer.

    Args:
        answers: of any subjects.
        embedder: for the similarity of answers and keys.
        verdicts: of a judge on each answer; none where nobody judged.
    """
    replies, questions = [a.answer for a in answers], [a.question for a in answers]
    scores = score(replies, questions, embedder)
    found = []
    told = verdicts or [{} for _ in answers]
    for answered, own, judged in zip(answers, scores, told, strict=True):
        question = answered.question
        audited = locomo_f1(answered.answer, key_of(question, corrected=True), question.kind)
        more = {CORRECTED: audited, SHARE: answered.share}
        # What is no verdict counts as wrong.
        more |= {judged_as(rubric): float(bool(correct)) for rubric, correct in judged.items()}
        if answered.found >= 0:
            more[FOUND] = answered.found
        found.append(
            Result(
                subject=answered.subject,
                item=answered.item,
                group=answered.dialogue,
                kind=question.kind,
                seed=answered.seed,
                scores=own | more,
                cost=answered.cost,
                ended=answered.ended,
            )
        )
    return found
