"""The whole of DuoMem as one resumable run: teacher and student in, table and picture out.

    games -> teacher's and student's episodes -> their memories -> examples -> an adapter for
    each recipe and seed -> every arm on the same test games -> report

Everything lies under `output`; a stage whose folder is complete is reused.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from duomem_jax.agents.play import MAX_NEW, Play
from duomem_jax.agents.player import Player
from duomem_jax.base.config import from_file
from duomem_jax.base.errors import UserError
from duomem_jax.base.parallel import run_all
from duomem_jax.evals.cost import TrainingCost
from duomem_jax.evals.fidelity import Fidelity
from duomem_jax.evals.games.describe import GAMES, games_in
from duomem_jax.evals.summary import Summary, summarize
from duomem_jax.experiments.fidelity import cost, nearness
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.records.results import collect_results
from duomem_jax.records.store.write import WriteReport
from duomem_jax.report.picture import draw_distance
from duomem_jax.report.recipes import HOW_TO_READ, recipes_table
from duomem_jax.report.write import write_report
from duomem_jax.speak.open import Local
from duomem_jax.stages.evaluate import evaluate
from duomem_jax.stages.examples import Examples, prepare
from duomem_jax.stages.label import label
from duomem_jax.stages.memories import remember
from duomem_jax.stages.play import play
from duomem_jax.train.config import OnPolicyConfig, TrainConfig
from duomem_jax.train.output import check_output
from duomem_jax.train.run import run as train
from duomem_jax.worlds.games import Games

ARMS = ("no memory", "self memory", "teacher memory", "LoRA", "both", "teacher")
"""Rows of the table: what the student has; the last is the teacher itself. A comparison of
objectives has two for each recipe in place of "LoRA" and "both"."""


@dataclass(frozen=True)
class Experiment:
    """What is compared with what, on which games."""

    title: str
    output: str  # folder for everything
    teacher: str  # Hugging Face folder
    student: str  # Hugging Face folder
    train_games: Games  # played by the teacher, to be remembered and learnt
    self_games: Games  # played by the student itself, for its own memories
    test_games: Games  # played by every arm
    train: TrainConfig  # of the adapters; base, data, output, seed and objective are filled in
    recipes: tuple[Recipe, ...] = (Recipe(),)  # the first is what the others are compared with
    seeds: tuple[int, ...] = (0, 1, 2)  # of training; one adapter each
    play: Play = field(default_factory=Play)
    examples: Examples = field(default_factory=Examples)
    max_new: int = MAX_NEW  # tokens a reply may have
    temperature: float = 0.0
    # Of the student that plays for its own memories: without luck it would win nothing.
    self_temperature: float = 1.0
    workers: int = 1  # adapters trained, and arms evaluated, side by side

    def __post_init__(self) -> None:
        names = [recipe.slug for recipe in self.recipes]
        if not names or len(set(names)) < len(names):
            raise UserError(f"recipes are {names}; give at least one, each with its own name")

    def arm(self, name: str, *, adapter: str = "", memory: str = "") -> Player:
        """A row of the table."""
        return Player(
            name=name,
            model=self.teacher if name == "teacher" else self.student,
            memory=memory,
            k=self.examples.k,
            embedder=self.examples.embedder,
            system=self.examples.system,
            max_new=self.max_new,
            temperature=self.temperature,
            local=Local(adapter=adapter),
        )

    @property
    def arms(self) -> list[str]:
        """Rows of the table, in their order."""
        own = [name for r in self.recipes for name in (r.name, r.with_memory)]
        return [*ARMS[:3], *own, ARMS[-1]]


def load_experiment(path: Path) -> Experiment:
    """Read `get_experiment()` of a file in configs/.

    Raises:
        UserError: no such file, or what it gives is not an Experiment.
    """
    return from_file(path, "get_experiment", Experiment)


def run_experiment(experiment: Experiment) -> Path:
    """Run whatever is not done yet; return the path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    e, root = experiment, Path(experiment.output)
    teacher_memory, _ = _memories(e, "teacher", e.train_games)
    self_memory, won = _memories(e, "student", e.self_games)
    trained = [(recipe, seed) for recipe in e.recipes for seed in e.seeds]
    data = {recipe: _data(e, recipe, teacher_memory) for recipe in e.recipes}
    configs = [train_config(e, r, seed, data[r], teacher_memory) for r, seed in trained]
    adapters = run_all(train_adapter, [(config,) for config in configs], e.workers)
    plan = [
        (e.arm("teacher"), 0),
        (e.arm("no memory"), 0),
        (e.arm("self memory", memory=self_memory), 0),
        (e.arm("teacher memory", memory=teacher_memory), 0),
    ]
    for (recipe, seed), adapter in zip(trained, adapters, strict=True):
        plan += [
            (e.arm(recipe.name, adapter=adapter), seed),
            (e.arm(recipe.with_memory, adapter=adapter, memory=teacher_memory), seed),
        ]
    results = root / "results"
    jobs = [
        (e.test_games, arm, str(results), dataclasses.replace(e.play, seed=seed))
        for arm, seed in plan
    ]
    run_all(evaluate, jobs, e.workers)
    rows, sections = collect_results([results]), []
    description = games_in(e.test_games.open_world())
    if len(e.recipes) > 1:
        by_run = dict(zip(trained, adapters, strict=True))
        sections = [recipes_section(e, by_run, summarize(rows, description))]
    return write_report(
        root,
        rows,
        description,
        title=e.title,
        note=_note(e, won),
        order=e.arms,
        compared=_compared(e),
        sections=sections,
    )


def _memories(e: Experiment, who: str, games: Games) -> tuple[str, int]:
    """(bank of a player's own won episodes, how many it won); no bank if it won none."""
    root = Path(e.output)
    if who == "teacher":
        player = e.arm("teacher")
    else:
        player = dataclasses.replace(e.arm("no memory"), temperature=e.self_temperature)
    episodes, bank = str(root / f"{who}-episodes"), str(root / f"{who}-memories")
    won = _say(play(games, player, episodes, e.play)).counts["won"]
    if won:
        _say(remember(episodes, bank, e.examples.embedder))
    return (bank if won else ""), won


def _data(e: Experiment, recipe: Recipe, memory: str) -> str:
    """The folder of rows that a recipe trains on."""
    root = Path(e.output)
    if recipe.on_policy is not None:
        return ""  # it makes them itself
    folder = {"as student": "examples", "always": "examples-told", "never": "examples-untold"}
    out = str(root / folder[recipe.memories])
    report = prepare(
        str(root / "teacher-episodes"),
        e.student,
        out,
        memory,
        e.examples,
        teacher=e.student if recipe.memories == "never" else "",
        teacher_memory=memory if recipe.memories == "always" else "",
    )
    _say(report)
    if recipe.label is None:
        return out
    labelled = str(root / "targets" / recipe.slug)
    _say(label(out, e.teacher, labelled, recipe.label))
    return labelled


def train_config(e: Experiment, recipe: Recipe, seed: int, data: str, memory: str) -> TrainConfig:
    """The run of one adapter, on rows in `data`, with the teacher's memories."""
    in_loop = recipe.objective.name != "text" and recipe.label is None
    on_policy = OnPolicyConfig()
    if recipe.on_policy is not None:
        on_policy = dataclasses.replace(
            recipe.on_policy,
            games=e.train_games,
            system=e.examples.system,
            max_new=e.max_new,
            max_steps=e.play.max_steps,
            memory=memory if recipe.memories == "always" else "",
            k=e.examples.k,
            embedder=e.examples.embedder,
        )
    return dataclasses.replace(
        e.train,
        base=e.student,
        data=data,
        output=str(Path(e.output) / "adapters" / recipe.slug / f"seed{seed}"),
        objective=recipe.objective,
        teacher=e.teacher if in_loop else "",
        on_policy=on_policy,
        seed=seed,
    )


def train_adapter(config: TrainConfig) -> str:
    """Train, unless that is done; the folder of the adapter."""
    adapter = Path(config.output) / "adapter"
    if adapter.exists():
        check_output(config)
        print(f"{adapter}: already there, reused", flush=True)
        return str(adapter)
    return str(train(config))


def recipes_section(
    e: Experiment, adapters: dict[tuple[Recipe, int], str], arms: list[Summary]
) -> str:
    """The part of the report on training: cost and distance to the teacher, with its picture."""
    root = Path(e.output)
    episodes, probe = str(root / "probe-episodes"), str(root / "probe")
    _say(play(e.test_games, e.arm("teacher"), episodes, e.play))
    _say(prepare(episodes, e.student, probe, how=e.examples))
    jobs = [(e.student, e.teacher, probe, adapter) for adapter in ("", *adapters.values())]
    untrained, *near = run_all(nearness, jobs, e.workers)
    by_adapter = dict(zip(adapters, near, strict=True))
    rows: list[tuple[str, list[TrainingCost], list[Fidelity]]] = [("no adapter", [], [untrained])]
    for recipe in e.recipes:
        costs = [cost(Path(adapters[recipe, seed]).parent) for seed in e.seeds]
        rows.append((recipe.name, costs, [by_adapter[recipe, seed] for seed in e.seeds]))
    success = {arm.subject: arm.headline for arm in arms}
    points = [
        (name, fmean(f.forward_kl for f in near), success[name])
        for name, _, near in rows
        if name in success
    ]
    draw_distance(root / "distance.png", points, GAMES, title=e.title)
    picture = "![Success against the distance to the teacher](distance.png)\n"
    return "\n".join(["## Training\n", recipes_table(rows), picture, HOW_TO_READ])


def _compared(e: Experiment) -> list[tuple[str, str]] | None:
    """Every pair of the usual arms; of several recipes, each with the first, and its two rows.

    Fewer pairs keep more of their certainty when p-values are corrected for their number.
    """
    if len(e.recipes) == 1:
        return None
    first, *others = e.recipes
    usual = [(ARMS[0], ARMS[2]), (ARMS[0], first.name)]
    plain = [(first.name, r.name) for r in others]
    shown = [(first.with_memory, r.with_memory) for r in others]
    return usual + plain + shown + [(r.name, r.with_memory) for r in e.recipes]


def _note(e: Experiment, self_won: int) -> str:
    return (
        f"Games: {e.test_games.protocol(e.play.max_steps)}, admissible "
        f"commands not shown, temperature {e.temperature:g}. Student {Path(e.student).name}, "
        f"teacher {Path(e.teacher).name}; LoRA rank {e.train.lora.rank}, {e.train.steps} steps, "
        f"training seeds {', '.join(map(str, e.seeds))}; {e.examples.k} memories shown. The "
        f"student's own memories come from the {self_won} games it won by itself at temperature "
        f"{e.self_temperature:g}."
    )


def _say(report: WriteReport) -> WriteReport:
    print(report.message, flush=True)
    return report
