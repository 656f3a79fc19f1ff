"""A learning curve: the same student taught with fewer and more of the teacher's episodes."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from duomem_jax.agents.player import Player
from duomem_jax.base.errors import UserError
from duomem_jax.base.lock import writing_alone
from duomem_jax.base.ranges import Count, options
from duomem_jax.evals.games.describe import GAMES, games_in
from duomem_jax.evals.summary import summarize
from duomem_jax.experiments.experiment import NO_MEMORY, TEACHER, Experiment
from duomem_jax.experiments.run import KIND, Entry, play_all, remember
from duomem_jax.experiments.training import Training, plan_trainings, train_all
from duomem_jax.records.results import Result
from duomem_jax.report.pictures.canvas import write_picture
from duomem_jax.report.pictures.curve import Line, Point, curve_figure
from duomem_jax.report.table import differences_section
from duomem_jax.report.write import write_report

PICTURE = "curve.png"
AXIS = "games that the teacher played, as many of each kind of task"
PANELS = ("without memories", "with memories")
SECTION = f"""\
## Learning curve

![Success by the number of games]({PICTURE})

Each seed draws games of its own, and all recipes train on them: differences draw a seed for both.
Small marks are seeds, large ones their mean with its interval.
"""


@options
class LearningCurve:
    """An experiment with more and more of the teacher's games.

    All adapters are trained in as many steps, and those of all recipes on the same games. A seed
    decides both which games are drawn and how an adapter starts.
    """

    experiment: Experiment
    per_kind: tuple[Count, ...]  # games of each kind of task that the teacher plays

    def __post_init__(self) -> None:
        if not self.per_kind or sorted({*self.per_kind}) != [*self.per_kind]:
            raise UserError(f"per_kind is {self.per_kind}; give numbers of games that increase")


@dataclass(frozen=True)
class Taught:
    """A student taught with the games of one draw.

    Attributes:
        games: that the teacher played.
        experiment: of the draw.
        memory: the teacher's bank; "" where it won nothing.
        training: of the adapter.
    """

    games: int
    experiment: Experiment
    memory: str
    training: Training

    @property
    def rows(self) -> tuple[str, str]:
        """What the report calls the student without memories and with them."""
        recipe = self.training.recipe
        plain, shown = (f"{n}, {self.games} games" for n in (recipe.name, recipe.with_memory))
        return plain, shown

    def players(self) -> Iterator[Player]:
        """The students of the two rows."""
        for row, memory in zip(self.rows, ("", self.memory), strict=True):
            yield self.experiment.player(row, adapter=self.training.adapter, memory=memory)


def run_curve(curve: LearningCurve) -> Path:
    """Run whatever is not done yet; return the path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    with writing_alone(curve.experiment.output, KIND):
        return _run(curve)


def _run(curve: LearningCurve) -> Path:
    e = curve.experiment
    taught = [t for n in curve.per_kind for seed in e.seeds for t in _teach(e, n, seed)]
    train_all([t.training for t in taught], e.workers)
    students = [Entry(player, t.training.seed) for t in taught for player in t.players()]
    rows = play_all(e, [Entry(e.player(TEACHER)), Entry(e.player(NO_MEMORY)), *students])
    description = games_in(e.test_games.open_world(), same_seeds=True)
    figure = curve_figure(_panels(taught, rows), GAMES, title=e.title, axis=AXIS)
    write_picture(Path(e.output) / PICTURE, figure)
    alone_and_shown = list(dict.fromkeys(t.rows for t in taught))
    memories = differences_section("What memories add", {"": rows}, alone_and_shown, description)
    return write_report(
        e.output,
        rows,
        description,
        title=e.title,
        note=_note(e),
        order=[NO_MEMORY, *dict.fromkeys(name for t in taught for name in t.rows), TEACHER],
        compared=_recipes(taught),
        sections=[memories, SECTION],
    )


def _recipes(taught: Sequence[Taught]) -> list[tuple[str, str]]:
    """Each recipe against the first, with as many games, without and with memories."""
    pairs: dict[tuple[str, str], None] = {}
    first: dict[int, Taught] = {}
    for t in taught:
        base = first.setdefault(t.games, t)
        if t.rows != base.rows:
            pairs |= dict.fromkeys(zip(base.rows, t.rows, strict=True))
    return list(pairs)


def _teach(whole: Experiment, per_kind: int, seed: int) -> list[Taught]:
    """Let the teacher play the games of a draw, and make rows of them."""
    games = dataclasses.replace(whole.train_games, per_kind=per_kind, draw=seed)
    out = Path(whole.output) / f"{per_kind}-of-each" / f"draw{seed}"
    e = dataclasses.replace(whole, output=str(out), train_games=games, seeds=(seed,))
    teacher = remember(e, "teacher", e.player(TEACHER), games)
    return [Taught(teacher.played, e, teacher.bank, t) for t in plan_trainings(e, teacher)]


def _panels(taught: Sequence[Taught], rows: Sequence[Result]) -> dict[str, list[Line]]:
    """A line for each row of each recipe over the number of games; one recipe has one panel."""
    success = {summary.subject: summary.headline for summary in summarize(rows, GAMES)}
    seeds: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        seeds[row.subject][row.seed].append(GAMES.value(row))
    several = len({t.training.recipe.name for t in taught}) > 1
    panels: dict[str, dict[str, dict[int, Point]]] = defaultdict(lambda: defaultdict(dict))
    for t in taught:
        recipe = t.training.recipe
        lines = (recipe.name, recipe.name if several else recipe.with_memory)
        for panel, line, name in zip(PANELS if several else ("", ""), lines, t.rows, strict=True):
            marks = tuple(map(fmean, seeds[name].values()))
            panels[panel][line][t.games] = Point(t.games, success[name], marks)
    return {
        panel: [Line(name, list(points.values())) for name, points in lines.items()]
        for panel, lines in panels.items()
    }


def _note(e: Experiment) -> str:
    shown = f"{e.examples.k} memories shown, of the same games"
    return f"{e.setting} of {e.train.global_batch} rows; {shown}."
