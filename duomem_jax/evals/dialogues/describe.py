"""How answers about dialogues are told: LoCoMo's F1 first, then what was on the page."""

from collections.abc import Callable

from duomem_jax.evals.describe import Column, Description, Remark
from duomem_jax.evals.dialogues.judge import RUBRICS
from duomem_jax.evals.dialogues.metrics import COMPOSITE, EXACT, F1, METEOR, ROUGE_L, SIMILARITY
from duomem_jax.evals.dialogues.score import CORRECTED, FOUND, SHARE, judged_as
from duomem_jax.records.dialogues import ADVERSARIAL, KINDS
from duomem_jax.records.results import Result

RECALL = "evidence shown %"  # the column
_WHOLE = 0.999  # of the evidence


def _percent(name: str) -> Callable[[Result], float | None]:
    def value(result: Result) -> float | None:
        found = result.scores.get(name)
        return None if found is None else 100 * found

    return value


def _given_evidence(result: Result) -> float | None:
    """F1 where all of the evidence was shown."""
    return 100 * result.scores[F1] if result.scores.get(FOUND, 0) > _WHOLE else None


QUESTIONS = Description(
    headline=F1,
    title="F1",
    axis="F1 of answers, % (95 % interval)",
    items="questions",
    kind="kind of question",
    kinds={kind: kind for kind in KINDS},
    over=RECALL,
    apart=frozenset({ADVERSARIAL}),
    columns=(
        Column("F1, corrected keys", _percent(CORRECTED)),
        Column("exact", _percent(EXACT)),
        Column("ROUGE-L", _percent(ROUGE_L)),
        Column("METEOR, no synonyms", _percent(METEOR)),
        Column("similarity", _percent(SIMILARITY)),
        Column("L", _percent(COMPOSITE)),
        *(Column(judged_as(rubric), _percent(judged_as(rubric))) for rubric in RUBRICS),
        Column(RECALL, _percent(FOUND)),
        Column("F1 given evidence", _given_evidence),
        Column("share shown %", _percent(SHARE)),
        Column("tokens read", lambda r: r.cost.prompt_tokens, "{:,.0f}", cost=True),
        Column("s / question", lambda r: r.cost.seconds, "{:.2f}", cost=True),
    ),
    remarks=(
        Remark("{count} of its answers were cut off.", lambda r: r.ended == "cut"),
        Remark(
            "in {count} questions the page did not fit the context length; they count as wrong.",
            lambda r: r.ended == "context",
        ),
    ),
    how_to_read="""\
**F1**: of word stems, as LoCoMo's own code computes it, over all questions but the adversarial
ones. Those have a column of their own below: the share whose answer says that it was not told.
Interval: bootstrap over conversations, all questions of one drawn together. **Corrected keys**: as
an audit corrected them, where it found an error. **L**: mean of ROUGE-L, METEOR and similarity;
MemLoRA's own weights are not known. **METEOR** has no synonyms, as WordNet would be a download.
**Judge**: share that a model found right, under a lenient and a strict rubric; what was no verdict
counts as wrong.
**Evidence shown**: share of the turns with the answer that are on the page, or that a memory on it
rests on; **F1 given evidence**: where all of them are. **Share shown**: words on the page, of those
of the conversation. **Differences** are paired by question; interval and *p* come from a bootstrap
over conversations and each subject's seeds (at least 0.0001). *p, Holm* is corrected for all rows
of the table.
""",
)
