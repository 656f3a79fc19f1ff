"""What remembering dialogues took, as a section of the report of their answers."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from duomem_jax.base.rowlog import read_rows
from duomem_jax.evals.dialogues.subject import STORES, WORK
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
**Calls** of a model, with what they read and wrote; **s**: wall time, in which other dialogues may
have been remembered too. **Rejected**: replies that are not of the form, and operations in them
that cannot be done; **repaired**: replies whose form a library restored. Assistants whose experts
for both are the same share their memories, and one row. Finding what is shown and answering are in
the table of subjects.
"""


def remembering_section(folders: Iterable[str | os.PathLike]) -> str:
    """A table of what each operation took each assistant; "" where none has kept memories.

    Args:
        folders: of answers, from `duomem locomo run`.
    """
    rows: dict[tuple[str, str], list[Worked]] = defaultdict(list)
    for path in sorted(path for out in folders for path in Path(out).glob(f"{STORES}/*/{WORK}")):
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
