"""Answers judged by a model, each once; the transcripts are kept."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from duomem_jax.base.progress import Progress
from duomem_jax.base.rowlog import RowLog
from duomem_jax.evals.dialogues.judge import RUBRICS, Case, Judge, Rubric, Verdict
from duomem_jax.records.answers import Answered
from duomem_jax.records.dialogues import ADVERSARIAL
from duomem_jax.speak.protocol import Speaker

FOLDER = "judged"  # in that of the answers


def judge_answers(
    answers: Sequence[Answered], speaker: Speaker, out: Path
) -> list[dict[Rubric, bool | None]]:
    """The verdicts on each answer; none on those that no key tells of.

    Args:
        answers: of any subjects; what says the same to the same question is judged once.
        speaker: who judges.
        out: folder of the answers; transcripts go into `judged` in it.

    Raises:
        UserError: the folder holds verdicts of another judge, or the speaker fails.
    """
    cases = [case_of(a) for a in answers]
    found: list[dict[Rubric, bool | None]] = [{} for _ in answers]
    (out / FOLDER).mkdir(exist_ok=True)
    for rubric in RUBRICS:
        known = _verdicts([c for c in cases if c is not None], Judge(speaker, rubric), out, rubric)
        for case, verdicts in zip(cases, found, strict=True):
            if case is not None:
                verdicts[rubric] = known[case.id]
    return found


def case_of(answered: Answered) -> Case | None:
    """What is judged of an answer, named by its content; None of an adversarial question."""
    question = answered.question
    if question.kind == ADVERSARIAL or not question.answer:
        return None
    parts = question.text, question.answer, answered.answer
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return Case(name, *parts)


def _verdicts(
    cases: Sequence[Case], judge: Judge, out: Path, rubric: Rubric
) -> dict[str, bool | None]:
    with RowLog(out / FOLDER / f"{rubric}.sqlite", judge.identity, Verdict) as log:
        known = {verdict.id: verdict.correct for verdict in log.rows}
        todo = list({case.id: case for case in cases if case.id not in known}.values())
        with Progress(len(todo), f"judge, {rubric}", good="", unit="answer") as progress:
            for verdict in judge(todo):
                log.append(verdict)
                known[verdict.id] = verdict.correct
                progress.add(True)
    return known
