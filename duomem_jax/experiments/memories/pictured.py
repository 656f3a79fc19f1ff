"""Who looks, beside who reads captions: where these say the answer, where not, and in words."""

from collections.abc import Callable, Mapping, Sequence

from duomem_jax.evals.dialogues.describe import QUESTIONS
from duomem_jax.records.dialogues import SEEN, TOLD
from duomem_jax.records.results import Result
from duomem_jax.report.table import differences_section

PARTS: Mapping[str, Callable[[Result], bool]] = {
    "Questions that no caption answers": lambda row: row.kind == SEEN,
    "Questions that a caption answers": lambda row: row.kind == TOLD,
    "Questions about what was said": lambda row: row.kind not in (SEEN, TOLD),
}


def pictured_section(rows: Sequence[Result], pairs: Sequence[tuple[str, str]]) -> str:
    """The differences of a report on each kind of questions; "" where none is about a picture.

    Args:
        rows: of all subjects.
        pairs: of subjects, as in the whole report.
    """
    if not any(row.kind == SEEN for row in rows):
        return ""
    parts = {title: list(filter(belongs, rows)) for title, belongs in PARTS.items()}
    return differences_section("Pictures", parts, pairs, QUESTIONS)
