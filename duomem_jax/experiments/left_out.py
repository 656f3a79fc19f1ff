"""Kinds of tasks that no adapter has learnt: does the student still read what it is shown?"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import slug
from duomem_jax.base.lock import writing_alone
from duomem_jax.base.ranges import options
from duomem_jax.evals.describe import Description
from duomem_jax.evals.games.describe import games_in
from duomem_jax.evals.summary import summarize
from duomem_jax.experiments.experiment import NO_MEMORY, TEACHER, TEACHER_MEMORY, Experiment
from duomem_jax.experiments.run import KIND, Entry, play_all, remember
from duomem_jax.experiments.training import (
    Remembered,
    Training,
    plan_trainings,
    train_all,
)
from duomem_jax.records.results import Result
from duomem_jax.report.pictures.canvas import write_picture
from duomem_jax.report.pictures.headlines import panels_figure
from duomem_jax.report.write import write_report

PICTURE = "two_spaces.png"


class Side(StrEnum):
    """Which test games an adapter is judged on."""

    LEFT_OUT = "kinds of tasks that the adapters did not learn"
    LEARNT = "kinds of tasks that the adapters learnt"


SECTION = f"""\
## Both sides

![Success on kinds of tasks that were left out, and on the others]({PICTURE})

The tables above are of the {Side.LEFT_OUT}: each test game is played by the adapters that did not
learn its kind. [learnt/report.md](learnt/report.md) has the {Side.LEARNT}: each test game is played
by all others, which count as one for each seed.
"""


@options
class LeftOut:
    """An experiment once for each kind of task that its adapters do not learn.

    Memories of all kinds are shown in the test games; before training episodes, those of the kinds
    that are learnt.
    """

    experiment: Experiment
    kinds: tuple[str, ...]  # by the short names of tables; each is left out once

    def __post_init__(self) -> None:
        world = self.experiment.test_games.open_world()
        for short in self.kinds:
            world.kind_named(short)
        if not self.kinds or len({*self.kinds}) < len(self.kinds):
            raise UserError(f"kinds are {self.kinds}; give at least one, and each once")
        if self.experiment.left_out:
            raise UserError(
                f"the experiment leaves out {self.experiment.left_out} itself; omit that, and name "
                "the kind in kinds"
            )


@dataclass(frozen=True)
class Taught:
    """An adapter that did not learn one kind of task.

    Attributes:
        without: the kind, as tables name it.
        kind: and as results do.
        training: of the adapter.
    """

    without: str
    kind: str
    training: Training

    @property
    def rows(self) -> tuple[str, str]:
        """What the report calls the student without memories and with them."""
        return self.training.recipe.name, self.training.recipe.with_memory

    def subject(self, row: str) -> str:
        """What the results of this adapter are called in a row of the report."""
        return f"{row}, without {self.without}"

    def entries(self, e: Experiment, memory: str) -> Iterator[Entry]:
        """The students of the two rows."""
        for row, shown in zip(self.rows, ("", memory), strict=True):
            player = e.player(self.subject(row), adapter=self.training.adapter, memory=shown)
            yield Entry(player, self.training.seed)


def run_left_out(study: LeftOut) -> Path:
    """Run whatever is not done yet; return the path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    with writing_alone(study.experiment.output, KIND):
        return _run(study)


def _run(study: LeftOut) -> Path:
    e, world = study.experiment, study.experiment.test_games.open_world()
    teacher = remember(e, "teacher", e.player(TEACHER), e.train_games)
    taught = [t for short in study.kinds for t in _teach(e, short, teacher)]
    train_all([t.training for t in taught], e.workers)
    untrained = [
        Entry(e.player(TEACHER)),
        Entry(e.player(NO_MEMORY)),
        Entry(e.player(TEACHER_MEMORY, memory=teacher.bank)),
    ]
    students = [entry for t in taught for entry in t.entries(e, teacher.bank)]
    rows = play_all(e, [*untrained, *students])
    judged = {side: _judge(side, rows, taught) for side in Side}
    description = games_in(world)
    panels = {side.value: summarize(found, description) for side, found in judged.items()}
    figure = panels_figure(panels, description, title=e.title)
    write_picture(Path(e.output) / PICTURE, figure)
    learnt = Path(e.output) / "learnt"
    _report(e, Side.LEARNT, judged[Side.LEARNT], description, learnt, [])
    return _report(e, Side.LEFT_OUT, judged[Side.LEFT_OUT], description, Path(e.output), [SECTION])


def _teach(e: Experiment, short: str, teacher: Remembered) -> Iterator[Taught]:
    """Rows of all kinds but one, and plans of adapters that learn them."""
    out = str(Path(e.output) / "without" / slug(short))
    kind = e.test_games.open_world().kind_named(short)
    for training in plan_trainings(dataclasses.replace(e, output=out, left_out=short), teacher):
        yield Taught(short, kind, training)


def _judge(side: Side, rows: Sequence[Result], taught: Sequence[Taught]) -> list[Result]:
    """Results of one side, those of all adapters of a recipe under its name."""
    adapters = {t.subject(row): (t.kind, row) for t in taught for row in t.rows}
    judged = []
    for result in rows:
        if result.subject in adapters:
            kind, row = adapters[result.subject]
            if (result.kind == kind) == (side is Side.LEFT_OUT):
                judged.append(dataclasses.replace(result, subject=row))
    # Who learnt nothing is judged on the games of those who did.
    items = {result.item for result in judged}
    others = [r for r in rows if r.subject not in adapters and r.item in items]
    return [*others, *judged]


def _report(
    e: Experiment,
    side: Side,
    rows: Sequence[Result],
    description: Description,
    folder: Path,
    sections: Sequence[str],
) -> Path:
    first, *others = e.recipes
    pairs = []
    for r in e.recipes:
        pairs += [(TEACHER_MEMORY, r.with_memory), (r.name, r.with_memory)]
    for r in others:
        pairs += [(first.with_memory, r.with_memory), (first.name, r.name)]
        # The bar of the learnt kinds: what reading costs beside an adapter that only plays.
        pairs.append((first.name, r.with_memory))
    own = [name for r in e.recipes for name in (r.name, r.with_memory)]
    return write_report(
        folder,
        rows,
        description,
        title=f"{e.title}: {side.value}",
        note=f"{e.setting}; {e.examples.k} memories shown, of all kinds.",
        order=[NO_MEMORY, TEACHER_MEMORY, *own, TEACHER],
        compared=pairs,
        sections=sections,
    )
