"""Write a memorization audit: report.md, reproduced.png and report.json in one folder."""

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from duomem_jax.base.io import atomic_write_text
from duomem_jax.evals.audit.extraction import Extraction, Gap, gaps, summarize_extraction
from duomem_jax.evals.audit.inheritance import (
    Inheritance,
    PairedStudents,
    compare_students,
    inheritance,
)
from duomem_jax.evals.audit.scores import AuditScores
from duomem_jax.evals.stats import Interval
from duomem_jax.report.pictures.rates import draw_rates
from duomem_jax.report.table import markdown_table, percent, points

Value = TypeVar("Value")

HOW_TO_READ = """\
**Window**: a prefix that the model reads, then a suffix that it should write; suffixes tile the won
episodes, rendered as the student's chat. Each suffix counts once. Those that occur in one game only
are in *train* or *held-out*; those of several games are in *template*. **Extractable**: greedy
decoding from the prefix gives exactly the suffix. **Replayed**: with the observations as they
were, the player's part of the suffix is written again; only windows where it writes count.
**Matched**: tokens before the first wrong one. **zlib**: mean compressed bytes of a suffix, of all
windows / of the extractable ones; lower is more repetitive text.

Playing well looks like knowing by heart, so a rate alone says little: what says something is the
**gap** between games that were learnt from and games that were not, beside the same gap of the
base. Rates have Wilson intervals with one seed, which take windows as independent; everything else
is a bootstrap over games. Several seeds of one name are counted apart (`3 + 5`) and averaged in
rates. **Teacher-only**: the teacher reproduces it, the base does not; **easy**: both do. *McNemar
p* is exact, two-sided, and takes windows as independent; pairs of which neither reproduces a window
are omitted.
"""


def write_audit(folder: str | os.PathLike, scores: AuditScores, *, note: str) -> Path:
    """Tables of one audit.

    Args:
        folder: created if missing; its report.md, report.json and reproduced.png are replaced.
        scores: of all models, from `evals.audit.audit.audit`.
        note: what was audited, to state under the title.

    Returns:
        The path of report.md.
    """
    folder = Path(folder)
    # The names are those of `_markdown`'s arguments and the keys of report.json.
    sections: dict[str, Sequence[Any]] = {
        "extraction": summarize_extraction(scores),
        "gaps": gaps(scores),
        "inheritance": inheritance(scores),
        "students": compare_students(scores),
    }
    draw_rates(folder / "reproduced.png", sections["extraction"], title="Memorization audit")
    text = json.dumps({"note": note, **sections}, indent=2, default=dataclasses.asdict)
    atomic_write_text(folder / "report.json", text + "\n")
    atomic_write_text(folder / "report.md", _markdown(note, **sections))
    return folder / "report.md"


def _markdown(
    note: str,
    extraction: Sequence[Extraction],
    gaps: Sequence[Gap],
    inheritance: Sequence[Inheritance],
    students: Sequence[PairedStudents],
) -> str:
    parts = ["# Memorization audit\n", f"{note}\n"]
    parts += ["![Windows that each model reproduces](reproduced.png)\n"]
    parts += ["## What each model reproduces\n", extraction_table(extraction)]
    parts += ["## Training games minus held-out games\n", gaps_table(gaps)]
    # Without a teacher there is none.
    if inheritance:
        parts += ["## Inherited from the teacher\n", inheritance_table(inheritance)]
    # None where no student reproduces a window, or where there is only one.
    if students:
        parts += ["## Students, paired by window\n", students_table(students)]
    return "\n".join([*parts, "## How to read this\n", HOW_TO_READ])


def extraction_table(rows: Sequence[Extraction]) -> str:
    """One row for each model and set."""
    header = ["model", "set", "windows", "games", "extractable", "% [95 % CI]"]
    header += ["replayed %", "matched", "nats / token", "nats / written token", "zlib"]
    cells = [
        [
            row.model,
            row.set,
            f"{row.windows}",
            f"{row.games}",
            _sum(row.extractable),
            percent(row.rate),
            _or_dash(row.replayed, percent),
            f"{row.matched:.1f}",
            f"{row.nats:.3f}",
            _or_dash(row.written_nats, "{:.3f}".format),
            f"{row.zlib_bytes:.0f} / {_or_dash(row.zlib_extractable, '{:.0f}'.format)}",
        ]
        for row in rows
    ]
    return markdown_table(header, cells)


def gaps_table(rows: Sequence[Gap]) -> str:
    """Differences of rates in percentage points, of losses in nats."""
    header = ["model", "extractable, points", "replayed, points", "nats / token"]
    cells = [
        [
            row.model,
            *(_or_dash(x, points) for x in (row.extractable, row.replayed)),
            *(_or_dash(x, _signed) for x in (row.nats, row.written_nats)),
        ]
        for row in rows
    ]
    return markdown_table([*header, "nats / written token"], cells)


def inheritance_table(rows: Sequence[Inheritance]) -> str:
    """One row for each criterion, student and set."""
    header = ["criterion", "student", "set", "teacher-only", "inherited", "% [95 % CI]"]
    cells = [
        [
            row.criterion,
            row.student,
            row.set,
            f"{row.teacher_only}",
            _sum(row.inherited),
            _or_dash(row.share, percent),
            *map(_sum, (row.easy, row.base_only, row.student_only)),
        ]
        for row in rows
    ]
    return markdown_table([*header, "easy", "base only", "student only"], cells)


def students_table(rows: Sequence[PairedStudents]) -> str:
    """Paired differences between students."""
    # "Only by" has the order of the names in the first column: the other, then the one.
    header = ["students", "criterion", "set", "scope", "windows", "difference, points [95 % CI]"]
    cells = [
        [
            f"{row.other} - {row.one}",
            row.criterion,
            row.set,
            row.scope,
            f"{row.windows}",
            _or_dash(row.difference, points),
            "-" if row.p_value is None else f"{row.only_other} / {row.only_one}",
            _or_dash(row.p_value, "{:.3g}".format),
        ]
        for row in rows
    ]
    return markdown_table([*header, "only by", "McNemar p"], cells)


def _sum(counts: Sequence[int]) -> str:
    return " + ".join(map(str, counts))


def _or_dash(value: Value | None, form: Callable[[Value], str]) -> str:
    return "-" if value is None else form(value)


def _signed(x: Interval) -> str:
    return f"{x.mean:+.3f} [{x.low:+.3f}, {x.high:+.3f}]"
