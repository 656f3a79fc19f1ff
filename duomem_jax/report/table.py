"""Markdown tables, aligned so that they read well as plain text too."""

from collections.abc import Sequence

from duomem_jax.evals.games.summary import ArmSummary, PairedDifference
from duomem_jax.evals.stats import Interval

SHORT_TYPE = {
    "pick_and_place_simple": "put",
    "look_at_obj_in_light": "examine",
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
    "pick_two_obj_and_place": "put two",
}


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is left-aligned and the others right-aligned."""
    cells = [[c.replace("|", "\\|") for c in row] for row in (header, *rows)]
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


def arms_table(arms: Sequence[ArmSummary]) -> str:
    """Success with its interval and what it costs, one row per arm."""
    header = ["arm", "games", "seeds", "success % [95 % CI]", "in 30 steps %", "steps"]
    header += ["tokens read", "tokens written", "s / game"]
    rows = [
        [
            a.arm,
            f"{a.games}",
            f"{a.seeds}",
            percent(a.success),
            f"{100 * a.success_short:.1f}",
            f"{a.steps:.1f}",
            f"{a.prompt_tokens:,.0f}",
            f"{a.new_tokens:,.0f}",
            f"{a.seconds:.2f}",
        ]
        for a in arms
    ]
    return markdown_table(header, rows)


def types_table(arms: Sequence[ArmSummary]) -> str:
    """Success per cent of each arm on each task type."""
    present = {t for a in arms for t in a.by_type}
    known = [t for t in SHORT_TYPE if t in present]
    types = known + sorted(present - set(known))
    rows = [
        [a.arm, *(f"{100 * a.by_type[t].mean:.1f}" if t in a.by_type else "-" for t in types)]
        for a in arms
    ]
    return markdown_table(["arm", *(SHORT_TYPE.get(t, t) for t in types)], rows)


def differences_table(pairs: Sequence[PairedDifference]) -> str:
    """Paired differences in percentage points; who won alone only with one seed each."""
    rows = []
    for pair in pairs:
        single = pair.only_other is not None
        rows.append(
            [
                f"{pair.other} - {pair.base}",
                f"{pair.games}",
                points(pair.difference),
                f"{pair.only_other} / {pair.only_base}" if single else "-",
                f"{pair.p_value:.2g}",
                f"{pair.corrected:.2g}",
            ]
        )
    header = ["arms", "games", "difference, points [95 % CI]", "won only by", "p", "p, Holm"]
    return markdown_table(header, rows)
