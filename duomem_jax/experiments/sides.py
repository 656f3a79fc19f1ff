"""Two sides of the test games: tasks that are new to an adapter, and others."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from duomem_jax.evals.games.describe import games_in
from duomem_jax.evals.summary import summarize
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.run import Entry, play_all
from duomem_jax.records.results import Result
from duomem_jax.report.pictures.canvas import write_picture
from duomem_jax.report.pictures.headlines import panels_figure
from duomem_jax.report.write import write_report

PICTURE = "two_spaces.png"


class Side(StrEnum):
    """Which test games a player is judged on."""

    NEW = "new tasks"
    OLD = "old tasks"


BOTH_SIDES = f"""\
## Both sides

![Success on {Side.NEW} and on {Side.OLD}]({PICTURE})

The tables above are of {Side.NEW}: each test game is played by the adapters that its task is new
to. [old/report.md](old/report.md) has {Side.OLD}: each test game is played by all others, which
count as one for each seed.
"""


@dataclass(frozen=True)
class Pupil:
    """A player for whom some of the test games are new.

    Attributes:
        row: what the report calls it; shared with those for whom other games are new.
        entry: who plays.
        new: ids of these games.
    """

    row: str
    entry: Entry
    new: frozenset[str]


def play_both_sides(
    e: Experiment, pupils: Sequence[Pupil], others: Sequence[Entry]
) -> Mapping[Side, list[Result]]:
    """Let all play the test games; their results, each pupil's under the name of its row.

    Args:
        e: the experiment.
        pupils: each is judged on either side by its own games.
        others: judged on the games of any pupil.
    """
    rows = play_all(e, [*others, *(pupil.entry for pupil in pupils)])
    return {side: _judge(side, rows, pupils) for side in Side}


def _judge(side: Side, rows: Sequence[Result], pupils: Sequence[Pupil]) -> list[Result]:
    named = {pupil.entry.player.name: pupil for pupil in pupils}
    judged = []
    for result in rows:
        pupil = named.get(result.subject)
        if pupil is not None and (result.item in pupil.new) == (side is Side.NEW):
            judged.append(dataclasses.replace(result, subject=pupil.row))
    items = {result.item for result in judged}
    return [*(r for r in rows if r.subject not in named and r.item in items), *judged]


def report_both_sides(
    e: Experiment,
    judged: Mapping[Side, list[Result]],
    *,
    order: Sequence[str],
    compared: Sequence[tuple[str, str]],
    sections: Sequence[str] = (),
) -> Path:
    """Write a report of each side, and a picture of both.

    Args:
        e: the experiment.
        judged: from `play_both_sides`.
        order: all rows.
        compared: pairs of rows.
        sections: more of the report of new tasks.

    Returns:
        The path of the report of new tasks.
    """
    description, out = games_in(e.test_games.open_world()), Path(e.output)
    panels = {
        side.value: sorted(summarize(found, description), key=lambda s: order.index(s.subject))
        for side, found in judged.items()
    }
    write_picture(out / PICTURE, panels_figure(panels, description, title=e.title))

    def write(side: Side, folder: Path, sections: Sequence[str]) -> Path:
        return write_report(
            folder,
            judged[side],
            description,
            title=f"{e.title}: {side.value}",
            note=f"{e.setting}; {e.examples.k} memories shown.",
            order=order,
            compared=compared,
            sections=sections,
        )

    write(Side.OLD, out / "old", [])
    return write(Side.NEW, out, [BOTH_SIDES, *sections])
