"""Keys of LoCoMo's questions as a public audit corrected them (github.com/dial481/locomo-audit).

Each error names its question as `locomo_<conversation>_qa<question>`, both counted from 0 in the
whole file. Where only the cited turns are wrong the key stands. Corrected keys are often whole
sentences that explain themselves: judges can use them, word overlap is low against them.
"""

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from duomem_jax.records.dialogues import Dialogue, Question
from duomem_jax.worlds.dialogues.node import Node, read_list

AUDIT_FILE = "audit_errors.json"
MISFIT = "corrections of an audit that fit no question"

# The conversations of the whole file in its order, which the audit counts by.
ORDER = tuple(f"conv-{number}" for number in (26, 30, 41, 42, 43, 44, 47, 48, 49, 50))
_KEY_STANDS = "WRONG_CITATION"
_REMEDY = "give errors.json of github.com/dial481/locomo-audit, or take the file away"


@dataclass(frozen=True)
class Correction:
    """A key that is wrong, and what it should be."""

    question: str
    answer: str


@dataclass(frozen=True)
class Audit:
    """Corrections by dialogue and the position of the question in it."""

    corrections: dict[str, dict[int, Correction]] = field(default_factory=dict)

    def correct(self, dialogue: Dialogue, repairs: Counter[str]) -> Dialogue:
        """The dialogue with its corrected keys; counts what fits no question of it."""
        todo = self.corrections.get(dialogue.id, {})
        questions = tuple(
            _correct(question, todo.get(number))
            for number, question in enumerate(dialogue.questions)
        )
        repairs[MISFIT] += len(todo) - sum(bool(question.corrected) for question in questions)
        return replace(dialogue, questions=questions)


def read_audit(path: Path) -> Audit:
    """Read the list of errors.

    Raises:
        UserError: no such file, or it has another form.
    """
    corrections: dict[str, dict[int, Correction]] = {}
    for error in read_list(path, _REMEDY)[1]:
        dialogue, number = _question_of(error)
        answer, question = error.text("correct_answer"), error.text("question")
        if error.text("error_type") == _KEY_STANDS or answer == error.text("golden_answer"):
            continue
        corrections.setdefault(dialogue, {})[number] = Correction(question, answer)
    return Audit(corrections)


def _question_of(error: Node) -> tuple[str, int]:
    found = re.fullmatch(r"locomo_(\d)_qa(\d{1,4})", error.text("question_id"))
    if not found:
        error.refuse("has a question_id of another form than locomo_0_qa0")
    return ORDER[int(found[1])], int(found[2])


def _correct(question: Question, correction: Correction | None) -> Question:
    # A file of other questions at these positions must not get these keys.
    if correction is None or correction.question.split() != question.text.split():
        return question
    return replace(question, corrected=correction.answer)
