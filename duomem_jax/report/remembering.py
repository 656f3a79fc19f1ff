"""What remembering dialogues took, as a section of the report of their answers."""

from collections import defaultdict
from pathlib import Path

from duomem_jax.base.rowlog import read_rows
from duomem_jax.evals.dialogues.subject import WORK
from duomem_jax.records.answers import Worked
from duomem_jax.report.table import markdown_table

_HEADER = (
    "subject",
    "operation",
    "dialogues",
    "calls",
    "tokens read",
    "tokens written",
    "s",
    "rejected",
    "repaired",
)
_TITLE = "## What remembering took, means over dialogues\n"
_HOW = """\
**Calls** of a model, with what they read and wrote; **s**: wall time. **Rejected**: replies that
are not of the form, and operations in them that cannot be done; **repaired**: replies whose form a
library restored. Finding what is shown and answering are in the table of subjects.
"""


def remembering_section(out: Path) -> str:
    """A table of what each operation took each assistant; "" where none has kept memories.

    Args:
        out: folder of answers, from `duomem locomo run`.
    """
    rows: dict[tuple[str, str], list[Worked]] = defaultdict(list)
    for path in sorted(out.glob(f"*/{WORK}")):
        for row in read_rows(path, Worked):
            rows[row.subject, row.operation].append(row)
    if not rows:
        return ""
    table = markdown_table(_HEADER, [_line(*key, done) for key, done in rows.items()])
    return "\n".join((_TITLE, table, _HOW))


def _line(subject: str, operation: str, rows: list[Worked]) -> list[str]:
    def mean(values: list[float], form: str = "{:,.0f}") -> str:
        return form.format(sum(values) / len(values))

    return [
        subject,
        operation,
        f"{len(rows)}",
        mean([row.calls for row in rows]),
        mean([row.cost.prompt_tokens for row in rows]),
        mean([row.cost.new_tokens for row in rows]),
        mean([row.cost.seconds for row in rows], "{:,.1f}"),
        mean([row.rejected for row in rows], "{:,.1f}"),
        mean([row.repaired for row in rows], "{:,.1f}"),
    ]
