"""Write a comparison of arms: report.md, success.png and report.json in one folder."""

import dataclasses
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path

from duomem_jax.base.io import atomic_write_text
from duomem_jax.evals.games.summary import (
    ArmSummary,
    PairedDifference,
    compare_arms,
    correct,
    summarize,
)
from duomem_jax.records.results import Result
from duomem_jax.report.picture import draw_success
from duomem_jax.report.table import arms_table, differences_table, types_table

HOW_TO_READ = """\
**Success**: won within the step limit. Interval: Wilson with one seed; with several, bootstrap
over games (all seeds of a game drawn together). **Steps**: commands sent, lost games included.
**Tokens read**: instructions, guidelines and observations, each counted once because the cache
keeps the conversation; **written**: by the player. **s / game**: wall time of each batched step
shared evenly among the games then playing, so that the games add up to the wall time of the run;
compilation is left out. **Differences** are paired by game; with one seed *won only by* counts
games that one arm won and the other lost, in the order of the names, and *p* is McNemar's exact
two-sided one; with several seeds, interval and *p* come from a bootstrap that draws games and each
arm's training seeds (at least 0.0001). *p, Holm* is corrected for all rows of the table.
"""


def write_report(
    folder: str | os.PathLike,
    rows: Sequence[Result],
    *,
    title: str,
    note: str = "",
    order: Sequence[str] = (),
    compared: Sequence[tuple[str, str]] | None = None,
    sections: Sequence[str] = (),
) -> Path:
    """Compare arms.

    Args:
        folder: created if missing; its report.md, report.json and success.png are replaced.
        rows: results of all arms; each arm may have other games and seeds.
        title: first heading and title of the picture.
        note: protocol to state under the title: split, step limit, models.
        order: names of arms that come first; the others follow as they occur.
        compared: pairs (base, other) of the table of differences; None: every pair.
        sections: more parts of the report, in Markdown.

    Returns:
        The path of report.md.
    """
    folder = Path(folder)
    rank = {name: i for i, name in enumerate(order)}
    arms = sorted(summarize(rows), key=lambda a: rank.get(a.arm, len(rank)))
    names = [a.arm for a in arms]
    wanted = itertools.combinations(names, 2) if compared is None else compared
    found = [compare_arms(rows, a, b) for a, b in wanted if {a, b} <= {*names}]
    pairs = correct([p for p in found if p is not None])
    draw_success(folder / "success.png", arms, title=title, subtitle=_counts(arms))
    report = {"title": title, "note": note, "arms": arms, "differences": pairs}
    text = json.dumps(report, indent=2, default=dataclasses.asdict)
    atomic_write_text(folder / "report.json", text + "\n")
    atomic_write_text(folder / "report.md", _markdown(title, note, arms, pairs, sections))
    return folder / "report.md"


def _markdown(
    title: str,
    note: str,
    arms: Sequence[ArmSummary],
    pairs: Sequence[PairedDifference],
    sections: Sequence[str],
) -> str:
    parts = [f"# {title}\n"]
    if note:
        parts.append(f"{note}\n")
    parts += ["![Success of each arm](success.png)\n", "## Arms\n", arms_table(arms)]
    parts += [
        f"{a.arm}: in {a.outgrown} of its lost games the conversation outgrew the context length.\n"
        for a in arms
        if a.outgrown
    ]
    parts += ["## Success per task type, %\n", types_table(arms)]
    if pairs:
        parts += ["## Paired differences\n", differences_table(pairs)]
    return "\n".join([*parts, *sections, "## How to read this\n", HOW_TO_READ])


def _counts(arms: Sequence[ArmSummary]) -> str:
    def span(values: list[int], noun: str) -> str:
        low, high = min(values), max(values)
        count = f"{low}" if low == high else f"{low} to {high}"
        return f"{count} {noun}{'' if high == 1 else 's'}"

    games, seeds = span([a.games for a in arms], "game"), span([a.seeds for a in arms], "seed")
    return f"{games}, {seeds} per arm"
