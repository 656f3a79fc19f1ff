"""The whole of DuoMem as one resumable run: teacher and student in, table and picture out.

    games -> teacher's and student's episodes -> their memories -> examples -> an adapter for
    each recipe and seed -> every player on the same test games -> report

Everything lies under `output`; a stage whose folder is complete is reused.
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from duomem_jax.agents.player import Player
from duomem_jax.base.heap import handing_back
from duomem_jax.base.lock import writing_alone
from duomem_jax.base.parallel import run_all
from duomem_jax.evals.fidelity import Fidelity
from duomem_jax.evals.games.describe import GAMES, games_in
from duomem_jax.evals.summary import Summary, summarize
from duomem_jax.experiments.experiment import (
    NO_MEMORY,
    SELF_MEMORY,
    TEACHER,
    TEACHER_MEMORY,
    Experiment,
)
from duomem_jax.experiments.training import (
    Remembered,
    Training,
    cost,
    fidelity,
    plan_trainings,
    remembered,
    train_all,
)
from duomem_jax.records.results import Result, collect_results
from duomem_jax.report.pictures.canvas import write_picture
from duomem_jax.report.pictures.points import Placed, points_figure
from duomem_jax.report.pictures.turns import turns_figure
from duomem_jax.report.recipes import HOW_TO_READ, RecipeRow, recipes_table
from duomem_jax.report.write import write_report
from duomem_jax.stages.evaluate import results
from duomem_jax.stages.examples import examples
from duomem_jax.stages.play import play
from duomem_jax.worlds.games import Games

log = logging.getLogger(__name__)
KIND = "an experiment"  # of its output folder
DISTANCE = "KL(teacher, student) on the teacher's replies in the test games, nats a token"
PICTURES = """\
![Success against the distance to the teacher](distance.png)

![Distance to the teacher by turn](turns.png)
"""


class Entry(NamedTuple):
    """A player of the test games.

    Attributes:
        player: a row of the table, or one of its seeds.
        seed: of its training, and so of its play; 0 where nothing was trained. Part of the name of
            the file of results: adapters of one recipe never share one.
    """

    player: Player
    seed: int = 0


def run_experiment(e: Experiment) -> Path:
    """Run whatever is not done yet; return the path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    with writing_alone(e.output, KIND):
        return _run(e)


def _run(e: Experiment) -> Path:
    usual = e.player(NO_MEMORY)
    # As greedy as in the table it would win nothing, and so have no memories of its own.
    lucky = dataclasses.replace(usual.talk, temperature=e.self_temperature)
    alone = dataclasses.replace(usual, talk=lucky)
    teacher = remember(e, "teacher", e.player(TEACHER), e.train_games)
    student = remember(e, "student", alone, e.self_games)
    trainings = plan_trainings(e, teacher)
    train_all(trainings, e.workers)
    rows = play_all(e, _entries(e, trainings, teacher.bank, student.bank))
    # One recipe has nothing to be compared with: its distance to the teacher is not measured.
    sections = []
    if len(e.recipes) > 1:
        sections = [training_section(e, trainings, summarize(rows, GAMES))]
    return write_report(
        e.output,
        rows,
        games_in(e.test_games.open_world()),
        title=e.title,
        note=_note(e, student),
        order=e.players,
        compared=e.compared,
        sections=sections,
    )


def remember(e: Experiment, who: str, player: Player, games: Games) -> Remembered:
    """Let a player play, and write its memories."""
    root = Path(e.output)
    episodes, bank = str(root / f"{who}-episodes"), str(root / f"{who}-memories")
    with handing_back():
        report = play(episodes, games, player, e.play)
    return remembered(e, episodes, bank, report)


def play_all(e: Experiment, entries: Sequence[Entry]) -> list[Result]:
    """Let all play the test games; results of these and of what has played before."""
    out = str(Path(e.output) / "results")
    jobs = [
        (out, e.test_games, player, dataclasses.replace(e.play, seed=seed))
        for player, seed in entries
    ]
    run_all(results, jobs, e.workers)
    return collect_results([out])


def _entries(
    e: Experiment, trainings: Sequence[Training], teacher_bank: str, self_bank: str
) -> list[Entry]:
    """Every row of the table."""
    entries = [Entry(e.player(TEACHER)), Entry(e.player(NO_MEMORY))]
    # With nothing to remember it would play as it does without memory.
    if self_bank:
        entries.append(Entry(e.player(SELF_MEMORY, memory=self_bank)))
    entries.append(Entry(e.player(TEACHER_MEMORY, memory=teacher_bank)))
    for t in trainings:
        both = e.player(t.recipe.with_memory, adapter=t.adapter, memory=teacher_bank)
        entries += [Entry(e.player(t.recipe.name, adapter=t.adapter), t.seed), Entry(both, t.seed)]
    return entries


def training_section(
    e: Experiment, trainings: Sequence[Training], summaries: Sequence[Summary]
) -> str:
    """The part of the report on training: cost and distance to the teacher, with its picture."""
    probe = _probe(e)
    jobs = [(e.student, e.teacher, probe, adapter) for adapter in _adapters(trainings)]
    # The student without an adapter comes first in `jobs`: what training starts from.
    untrained, *near = run_all(fidelity, jobs, e.workers)
    rows = [RecipeRow("no adapter", [], [untrained]), *_recipe_rows(e, trainings, near)]
    success = {summary.subject: summary.headline for summary in summaries}
    # A point needs success on games, and "no adapter" is no row of that table.
    points = [
        Placed(row.name, fmean(f.forward_kl for f in row.fidelities), success[row.name])
        for row in rows
        if row.name in success
    ]
    out = Path(e.output)
    distances = points_figure(points, GAMES, title=e.title, axis=DISTANCE)
    write_picture(out / "distance.png", distances)
    # All seeds of a recipe have read the same replies, so their turns are as many.
    turns = {
        row.name: [fmean(turn) for turn in zip(*(f.by_turn for f in row.fidelities), strict=True)]
        for row in rows[1:]
    }
    write_picture(out / "turns.png", turns_figure(turns, title=e.title))
    return "\n".join(["## Training\n", recipes_table(rows), PICTURES, HOW_TO_READ])


def _probe(e: Experiment) -> str:
    """Rows of the teacher's play on the test games, which no adapter was trained on."""
    episodes, probe = (str(Path(e.output) / name) for name in ("probe-episodes", "probe"))
    log.info(play(episodes, e.test_games, e.player(TEACHER), e.play))
    log.info(examples(probe, e.student, episodes, how=e.examples))
    return probe


def _adapters(trainings: Sequence[Training]) -> list[str]:
    """The student as it is, then every adapter."""
    return ["", *(training.adapter for training in trainings)]


def _recipe_rows(
    e: Experiment, trainings: Sequence[Training], near: Sequence[Fidelity]
) -> list[RecipeRow]:
    """One row a recipe, over its seeds."""
    # In the order of the recipes, whatever the order of the trainings.
    rows = {recipe.slug: RecipeRow(recipe.name, [], []) for recipe in e.recipes}
    for training, found in zip(trainings, near, strict=True):
        row = rows[training.recipe.slug]
        row.costs.append(cost(training.config.output))
        row.fidelities.append(found)
    return list(rows.values())


def _note(e: Experiment, student: Remembered) -> str:
    own = f"the {student.won} of {student.played} games that it won by itself"
    return (
        f"{e.setting}, "
        f"training seeds {', '.join(map(str, e.seeds))}; {e.examples.k} memories shown. The "
        f"student's own memories come from {own} at temperature {e.self_temperature:g}"
        f"{'' if student.won else ', so there are none, and no row for them'}."
    )
