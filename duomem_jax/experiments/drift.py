"""Tasks that arrive after training: show memories of them, train on, or train again."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import slug
from duomem_jax.base.lock import writing_alone
from duomem_jax.base.ranges import Count, Limit, options
from duomem_jax.base.sample import spread
from duomem_jax.evals.cost import TrainingCost
from duomem_jax.experiments.experiment import NO_MEMORY, TEACHER, TEACHER_MEMORY, Experiment
from duomem_jax.experiments.left_out import LeftOut
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.experiments.run import KIND, Entry, remember
from duomem_jax.experiments.sides import Pupil, play_both_sides, report_both_sides
from duomem_jax.experiments.training import (
    Remembered,
    Training,
    cost,
    learnt_of,
    plan_trainings,
    some_of,
    train_all,
)
from duomem_jax.report.recipes import costs_table


class Way(StrEnum):
    """What is done with an adapter when tasks arrive that it has not learnt."""

    KEPT = "kept"
    TRAINED_ON = "trained on"
    TRAINED_AGAIN = "trained again"


@options
class Drift:
    """What can be done when tasks arrive that the adapters of a study have not learnt.

    The teacher plays a few of them, and memories of these are shown beside those of old tasks.
    Adapters are kept; or each is trained on, on the new games and some old ones, without which it
    forgets; or another one learns all games.
    """

    study: LeftOut
    games: Count = 24  # of the new tasks, played by the teacher
    old: Limit = 216  # games that are learnt again when training on; 0: none
    steps: Count = 100  # of training on


@dataclass(frozen=True)
class Arrival:
    """New tasks, and what is done about them.

    Attributes:
        name: what they are about.
        old_bank: memories of old tasks.
        bank: memories of these and of the new ones.
        trainings: of the adapters, by what is done.
    """

    name: str
    old_bank: str
    bank: str
    trainings: dict[Way, list[Training]]


def run_drift(drift: Drift) -> Path:
    """Run whatever is not done yet; return the path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    with writing_alone(drift.study.experiment.output, KIND):
        return _run(drift)


def _run(drift: Drift) -> Path:
    e = drift.study.experiment
    teacher = remember(e, "teacher", e.player(TEACHER), e.train_games)
    arrivals = [_arrive(drift, name, teacher) for name in drift.study.kinds]
    train_all([t for a in arrivals for ts in a.trainings.values() for t in ts], e.workers)
    pupils = [pupil for arrival in arrivals for pupil in _pupils(e, arrival)]
    judged = play_both_sides(e, pupils, [Entry(e.player(TEACHER)), Entry(e.player(NO_MEMORY))])
    own = [name for r in e.recipes for name in _order(r)]
    return report_both_sides(
        e,
        judged,
        order=[NO_MEMORY, TEACHER_MEMORY, *own, TEACHER],
        compared=[pair for r in e.recipes for pair in _pairs(r)],
        sections=[_costs(drift, arrivals)],
    )


def _arrive(drift: Drift, name: str, teacher: Remembered) -> Arrival:
    """Plan all adapters for tasks that arrive; their rows and memories are made here."""
    before = drift.study.without(name)
    new = before.train_games.about(name)
    if not new:
        raise UserError(
            f"{before.train_games.path}: no game is about {name}, so none can arrive; add some, or "
            "name others in kinds"
        )
    few = frozenset(spread(sorted(new), drift.games))
    count = f"{len(few)} of {name}"
    learnt_again = frozenset(_old(drift, before, new))
    beside = f"{count} and {len(learnt_again)} old"
    arrived = some_of(before, beside, teacher, (few | learnt_again).__contains__)
    everything = some_of(before, f"all with {count}", teacher, lambda g: g in few or g not in new)
    kept = plan_trainings(before, teacher)
    return Arrival(
        name,
        learnt_of(before, teacher).bank,
        everything.bank,
        {
            Way.KEPT: kept,
            Way.TRAINED_ON: _trained_on(_after(before, Way.TRAINED_ON), drift.steps, arrived, kept),
            Way.TRAINED_AGAIN: plan_trainings(_after(before, Way.TRAINED_AGAIN), everything),
        },
    )


def _old(drift: Drift, before: Experiment, new: frozenset[str]) -> Sequence[str]:
    """Old games that are learnt again beside new ones."""
    old = sorted(task.id for task in before.train_games.load() if task.id not in new)
    return spread(old, drift.old) if drift.old else ()


def _after(before: Experiment, way: Way) -> Experiment:
    """The experiment once nothing is left out any more."""
    out = str(Path(before.output) / slug(way))
    return dataclasses.replace(before, output=out, left_out="")


def _trained_on(
    e: Experiment, steps: int, arrived: Remembered, kept: Sequence[Training]
) -> list[Training]:
    """Adapters that go on from others, on few games."""
    few = dataclasses.replace(
        e,
        train=dataclasses.replace(e.train, steps=steps),
        # Lessons would be most of what is learnt.
        recipes=tuple(dataclasses.replace(r, lessons=None) for r in e.recipes),
    )
    # Of the same recipes and seeds, so in the same order.
    return [
        dataclasses.replace(t, config=dataclasses.replace(t.config, adapter=old.adapter))
        for t, old in zip(plan_trainings(few, arrived), kept, strict=True)
    ]


def _pupils(e: Experiment, arrival: Arrival) -> Iterator[Pupil]:
    """The student without an adapter, and with each, and the memories there are."""
    new = e.test_games.about(arrival.name)

    def pupil(row: str, memory: str, training: Training | None = None) -> Pupil:
        # One name for each player: its results are kept under it.
        name, adapter, seed = f"{row}, {arrival.name} arrived", "", 0
        if training is not None:
            adapter, seed = training.adapter, training.seed
        return Pupil(row, Entry(e.player(name, adapter=adapter, memory=memory), seed), new)

    yield pupil(TEACHER_MEMORY, arrival.bank)
    for way, trainings in arrival.trainings.items():
        for t in trainings:
            rows = _rows(t.recipe, way)
            yield pupil(rows.alone, "", t)
            yield pupil(rows.shown, arrival.bank, t)
            if way is Way.KEPT:
                yield pupil(_with_old(t.recipe), arrival.old_bank, t)


class Rows(NamedTuple):
    """What the report calls an adapter.

    Attributes:
        alone: without memories.
        shown: with memories of old and new tasks.
    """

    alone: str
    shown: str


def _rows(recipe: Recipe, way: Way) -> Rows:
    end = "" if way is Way.KEPT else f", {way}"
    return Rows(f"{recipe.name}{end}", f"{recipe.with_memory}{end}")


def _with_old(recipe: Recipe) -> str:
    """The row of an adapter that is kept and shown memories of old tasks alone."""
    return f"{recipe.name} + old memories"


def _order(recipe: Recipe) -> list[str]:
    kept, *others = (_rows(recipe, way) for way in Way)
    return [kept.alone, _with_old(recipe), kept.shown, *(row for rows in others for row in rows)]


def _pairs(recipe: Recipe) -> list[tuple[str, str]]:
    """What memories add to an adapter that is kept, training to these, and memories to that."""
    kept, *others = (_rows(recipe, way) for way in Way)
    pairs = [(_with_old(recipe), kept.shown)]
    for rows in others:
        pairs += [(kept.shown, rows.alone), (kept.shown, rows.shown), rows]
    return pairs


def _costs(drift: Drift, arrivals: Sequence[Arrival]) -> str:
    """What training took for one arrival: of the adapter that is there, and of each way."""
    costs: dict[str, list[TrainingCost]] = defaultdict(list)
    for arrival in arrivals:
        for way, trainings in arrival.trainings.items():
            for t in trainings:
                costs[_rows(t.recipe, way).alone].append(cost(t.config.output))
    table = costs_table(costs)
    return f"""\
## Training

{table}
Means over arrivals and seeds, with the smallest and the largest; tokens are those of replies. The
teacher has played {drift.games} of the new tasks. An adapter that is kept takes nothing more,
whatever is shown to it.
"""
