"""Write a comparison of subjects: report.md, its pictures and report.json in one folder."""

import dataclasses
import itertools
import json
import os
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from duomem_jax.base.io import atomic_write_text
from duomem_jax.evals.describe import Description
from duomem_jax.evals.summary import Difference, Summary, differences, summarize
from duomem_jax.records.results import Result
from duomem_jax.report.pictures.canvas import write_picture
from duomem_jax.report.pictures.costs import costs_figure
from duomem_jax.report.pictures.headlines import headlines_figure
from duomem_jax.report.pictures.kinds import kinds_figure
from duomem_jax.report.pictures.points import Placed, points_figure
from duomem_jax.report.table import differences_table, kinds_table, subjects_table


class Figures(NamedTuple):
    """Their files.

    Attributes:
        headline: of each subject.
        kinds: the headline on each kind of items.
        costs: what each takes; "" where the description has no such column.
        over: the headline over a column; "" where the description names none.
    """

    headline: str
    kinds: str
    costs: str
    over: str


def write_report(
    folder: str | os.PathLike,
    rows: Sequence[Result],
    description: Description,
    *,
    title: str,
    note: str = "",
    order: Sequence[str] = (),
    compared: Sequence[tuple[str, str]] | None = None,
    sections: Sequence[str] = (),
) -> Path:
    """Compare subjects.

    Args:
        folder: created if missing; its report.md, report.json and pictures are replaced.
        rows: results of all subjects; each may have other items and seeds.
        description: which score is compared, and how it is told; names the first picture.
        title: first heading and title of the pictures.
        note: protocol to state under the title: split, step limit, models.
        order: names of subjects that come first; the others follow as they occur.
        compared: pairs (base, other) of the table of differences; None: every pair.
        sections: more parts of the report, in Markdown.

    Returns:
        The path of report.md.
    """
    folder = Path(folder)
    # Subjects that `order` does not name share the last rank, and sorting keeps their order.
    rank = {name: i for i, name in enumerate(order)}
    subjects = sorted(summarize(rows, description), key=lambda s: rank.get(s.subject, len(rank)))
    names = [s.subject for s in subjects]
    wanted = itertools.combinations(names, 2) if compared is None else compared
    pairs = differences(rows, wanted, description)
    pictures = _draw(folder, subjects, description, title)
    report = {"title": title, "note": note, "subjects": subjects, "differences": pairs}
    # All numbers unrounded, for whoever wants to draw or compare them differently.
    text = json.dumps(report, indent=2, default=dataclasses.asdict)
    atomic_write_text(folder / "report.json", text + "\n")
    head = [f"# {title}\n", *([f"{note}\n"] if note else [])]
    parts = [*head, *_parts(subjects, pairs, description, pictures), *sections]
    end = ["## How to read this\n", description.how_to_read]
    atomic_write_text(folder / "report.md", "\n".join([*parts, *end]))
    return folder / "report.md"


def _draw(
    folder: Path, subjects: Sequence[Summary], description: Description, title: str
) -> Figures:
    """All pictures of the subjects."""
    pictures = Figures(
        headline=f"{description.headline}.png",
        kinds="kinds.png",
        costs="costs.png" if any(column.cost for column in description.columns) else "",
        over="over.png" if description.over else "",
    )
    counts = _counts(subjects, description)
    bars = headlines_figure(subjects, description, title=title, subtitle=counts)
    write_picture(folder / pictures.headline, bars)
    write_picture(folder / pictures.kinds, kinds_figure(subjects, description, title=title))
    if pictures.costs:
        write_picture(folder / pictures.costs, costs_figure(subjects, description, title=title))
    if pictures.over:
        placed = [Placed(s.subject, s.means[description.over], s.headline) for s in subjects]
        # A subject to which the column does not apply has no place.
        there = [point for point in placed if isfinite(point.x)]
        figure = points_figure(there, description, title=title, axis=description.over)
        write_picture(folder / pictures.over, figure)
    return pictures


def _parts(
    subjects: Sequence[Summary],
    pairs: Sequence[Difference],
    description: Description,
    pictures: Figures,
) -> list[str]:
    """The pictures and the tables, in Markdown."""
    name = description.title.capitalize()
    parts = [f"![{name} of each subject]({pictures.headline})\n", "## Subjects\n"]
    parts.append(subjects_table(subjects, description))
    parts += [f"{s.subject}: {remark}\n" for s in subjects for remark in s.remarks]
    if pictures.costs:
        parts.append(f"![What each subject takes]({pictures.costs})\n")
    if pictures.over:
        parts.append(f"![{name} over {description.over}]({pictures.over})\n")
    parts.append(f"## {name} per {description.kind}, %\n")
    parts.append(f"![{name} per {description.kind}]({pictures.kinds})\n")
    parts.append(kinds_table(subjects, description))
    if pairs:
        parts += ["## Paired differences\n", differences_table(pairs, description)]
    return parts


def _counts(subjects: Sequence[Summary], description: Description) -> str:
    def span(values: list[int], nouns: str) -> str:
        low, high = min(values), max(values)
        count = f"{low}" if low == high else f"{low} to {high}"
        return f"{count} {nouns.removesuffix('s') if high == 1 else nouns}"

    items = span([s.items for s in subjects], description.items)
    return f"{items}, {span([s.seeds for s in subjects], 'seeds')} per subject"
