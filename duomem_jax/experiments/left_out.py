"""Kinds of tasks that no adapter has learnt: does the student still read what it is shown?"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import slug
from duomem_jax.base.lock import writing_alone
from duomem_jax.base.ranges import options
from duomem_jax.experiments.experiment import NO_MEMORY, TEACHER, TEACHER_MEMORY, Experiment
from duomem_jax.experiments.run import KIND, Entry, remember
from duomem_jax.experiments.sides import Pupil, play_both_sides, report_both_sides
from duomem_jax.experiments.training import Training, plan_trainings, train_all


@options
class LeftOut:
    """An experiment once for each kind of task that its adapters do not learn.

    Memories of all kinds are shown in the test games; before training episodes, those of the kinds
    that are learnt.
    """

    experiment: Experiment
    kinds: tuple[str, ...]  # what tasks are about (`World.about`); each is left out once

    def __post_init__(self) -> None:
        world = self.experiment.test_games.open_world()
        for name in self.kinds:
            world.about(name)
        if not self.kinds or len({*self.kinds}) < len(self.kinds):
            raise UserError(f"kinds are {self.kinds}; give at least one, and each once")
        if self.experiment.left_out:
            raise UserError(
                f"the experiment leaves out {self.experiment.left_out} itself; omit that, and name "
                "the kind in kinds"
            )

    def without(self, name: str) -> Experiment:
        """The experiment whose adapters do not learn one of the kinds."""
        out = str(Path(self.experiment.output) / "without" / slug(name))
        return dataclasses.replace(self.experiment, output=out, left_out=name)


def run_left_out(study: LeftOut) -> Path:
    """Run whatever is not done yet; return the path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    with writing_alone(study.experiment.output, KIND):
        return _run(study)


def _run(study: LeftOut) -> Path:
    e = study.experiment
    teacher = remember(e, "teacher", e.player(TEACHER), e.train_games)
    taught = {name: plan_trainings(study.without(name), teacher) for name in study.kinds}
    train_all([t for trainings in taught.values() for t in trainings], e.workers)
    pupils = [
        pupil
        for name, trainings in taught.items()
        for pupil in _pupils(e, name, trainings, teacher.bank)
    ]
    untrained = [
        Entry(e.player(TEACHER)),
        Entry(e.player(NO_MEMORY)),
        Entry(e.player(TEACHER_MEMORY, memory=teacher.bank)),
    ]
    own = [row for r in e.recipes for row in (r.name, r.with_memory)]
    return report_both_sides(
        e,
        play_both_sides(e, pupils, untrained),
        order=[NO_MEMORY, TEACHER_MEMORY, *own, TEACHER],
        compared=_pairs(e),
    )


def _pupils(
    e: Experiment, name: str, trainings: Sequence[Training], memory: str
) -> Iterator[Pupil]:
    """The student with adapters that did not learn a kind, without memories and with them."""
    new = e.test_games.about(name)
    for t in trainings:
        for row, shown in ((t.recipe.name, ""), (t.recipe.with_memory, memory)):
            player = e.player(f"{row}, without {name}", adapter=t.adapter, memory=shown)
            yield Pupil(row, Entry(player, t.seed), new)


def _pairs(e: Experiment) -> list[tuple[str, str]]:
    """Rows whose difference is tested."""
    first, *others = e.recipes
    pairs = []
    for r in e.recipes:
        pairs += [(TEACHER_MEMORY, r.with_memory), (r.name, r.with_memory)]
    for r in others:
        pairs += [(first.with_memory, r.with_memory), (first.name, r.name)]
        # The bar of old tasks: what reading costs beside an adapter that only plays.
        pairs.append((first.name, r.with_memory))
    return pairs
