"""What came out of an experiment with written histories."""

from collections.abc import Sequence
from pathlib import Path

from duomem_jax.evals.describe import Column, Description
from duomem_jax.experiments.written.ask import RIGHT, named, results
from duomem_jax.experiments.written.experiment import Written
from duomem_jax.experiments.written.views import View
from duomem_jax.records.results import Result, collect_results
from duomem_jax.report.table import differences_section
from duomem_jax.report.write import write_report

EXPERTS = {view: named(view, expert=True) for view in View}
COMPARED = (
    *((named(view, expert=False), expert) for view, expert in EXPERTS.items()),
    (EXPERTS[View.WHOLE], EXPERTS[View.DRAWN]),
    (EXPERTS[View.CUT], EXPERTS[View.DRAWN]),
    (EXPERTS[View.CUT], EXPERTS[View.LOCATED]),
)
ANSWERS = Description(
    headline=RIGHT,
    title="right answers",
    axis="right answers, % (95 % interval)",
    items="questions",
    kind="number of lines",
    columns=(
        Column("tokens read", lambda r: r.cost.prompt_tokens, "{:,.1f}", cost=True),
        Column("s / question", lambda r: r.cost.seconds, "{:.3f}", cost=True),
    ),
    how_to_read="""\
Each line of a history is asked about once. **Right**: the reply is the word of the line; where the
line is looked up, its number. Intervals: bootstrap over histories, all questions of one drawn
together. **Differences** are paired by question; interval and *p* come from a bootstrap over
histories and each subject's training seeds (at least 0.0001). *p, Holm* is corrected for all rows
of the table.
""",
)


def written_report(w: Written, budget: int) -> Path:
    """Write the report of what has been answered; its path.

    Args:
        w: the experiment.
        budget: tokens of a picture.
    """
    rows = collect_results([results(w)])
    order = [named(view, expert=expert) for view in View for expert in (False, True)]
    return write_report(
        w.output,
        rows,
        ANSWERS,
        title=w.title,
        note=_note(w, budget),
        order=order,
        compared=COMPARED,
        sections=[_by_lines(rows, w.lines)],
    )


def _by_lines(rows: Sequence[Result], lines: Sequence[int]) -> str:
    """The differences of the experts, for each number of lines."""
    parts = {f"{n} lines": [row for row in rows if row.kind == str(n)] for n in lines}
    pairs = [(a, b) for a, b in COMPARED if a in EXPERTS.values()]
    return differences_section("By the number of lines", parts, pairs, ANSWERS)


def _note(w: Written, budget: int) -> str:
    return (
        f"{w.asked} held-out histories of each number of lines, and experts of rank "
        f"{w.train.lora.rank} that learnt from {w.learnt} others of each in {w.train.steps} steps "
        f"of {w.train.global_batch} rows; training seeds {', '.join(map(str, w.seeds))}. A picture "
        f"takes {budget} tokens, whatever is written on it; as many tokens of text hold the latest "
        "lines that fit."
    )
