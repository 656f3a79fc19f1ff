"""Markdown tables, aligned so that they read well as plain text too."""

import math
from collections.abc import Mapping, Sequence

from duomem_jax.evals.describe import Description
from duomem_jax.evals.stats import Interval
from duomem_jax.evals.summary import Difference, Summary, differences
from duomem_jax.records.results import Result


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is left-aligned and the others right-aligned."""
    # A | in a name would end its cell.
    cells = [[c.replace("|", "\\|") for c in row] for row in (header, *rows)]
    # Three at least, as some readers of Markdown want so many dashes in the rule.
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *rest = (
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        return f"| {' | '.join((first, *rest))} |"

    rule = [":" + "-" * (w - 1) if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(cells[0]), line(rule), *map(line, cells[1:])]) + "\n"


def percent(interval: Interval) -> str:
    """`71.4 [63.2, 78.4]`, in per cent."""
    return f"{100 * interval.mean:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def points(interval: Interval) -> str:
    """`+12.0 [+4.3, +19.3]`: a difference of rates, in percentage points."""
    return f"{100 * interval.mean:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def subjects_table(summaries: Sequence[Summary], description: Description) -> str:
    """The headline with its interval and the means beside it, one row per subject."""
    # A column that no subject has a value in, such as a judge's where nobody judged, is left out.
    columns = [
        column
        for column in description.columns
        if any(not math.isnan(s.means[column.title]) for s in summaries)
    ]
    header = ["subject", description.items, "seeds", f"{description.title} % [95 % CI]"]
    rows = [
        [
            s.subject,
            f"{s.items}",
            f"{s.seeds}",
            percent(s.headline),
            *(column.form.format(s.means[column.title]) for column in columns),
        ]
        for s in summaries
    ]
    return markdown_table([*header, *(column.title for column in columns)], rows)


def kinds_table(summaries: Sequence[Summary], description: Description) -> str:
    """The headline of each subject on each kind of items, in per cent."""
    present = {kind for s in summaries for kind in s.by_kind}
    # Kinds with a short name in the order the world gives them, others after them.
    named = [kind for kind in description.kinds if kind in present]
    kinds = named + sorted(present - set(named))
    rows = [
        [
            s.subject,
            *(f"{100 * s.by_kind[k].mean:.1f}" if k in s.by_kind else "-" for k in kinds),
        ]
        for s in summaries
    ]
    return markdown_table(["subject", *(description.kinds.get(k, k) for k in kinds)], rows)


def differences_table(pairs: Sequence[Difference], description: Description) -> str:
    """Paired differences in percentage points; who won alone only where that was counted."""
    rows = []
    for pair in pairs:
        counted = pair.only_other is not None
        rows.append(
            [
                f"{pair.other} - {pair.base}",
                f"{pair.items}",
                points(pair.difference),
                f"{pair.only_other} / {pair.only_base}" if counted else "-",
                f"{pair.p_value:.2g}",
                f"{pair.corrected:.2g}",
            ]
        )
    header = ["subjects", description.items, "difference, points [95 % CI]"]
    return markdown_table([*header, "won only by", "p", "p, Holm"], rows)


def differences_section(
    title: str,
    parts: Mapping[str, Sequence[Result]],
    pairs: Sequence[tuple[str, str]],
    description: Description,
) -> str:
    """Differences on parts of the items, each corrected for its own rows; "" where there are none.

    Args:
        title: of the section.
        parts: results of all subjects, by what stands above their table; "" for nothing.
        pairs: (base, other).
        description: which score is compared.
    """
    tables = []
    for name, rows in parts.items():
        if found := differences(rows, pairs, description):
            tables += [f"{name}:\n"] if name else []
            tables += [differences_table(found, description), ""]
    return "\n".join([f"## {title}\n", *tables]) if tables else ""
